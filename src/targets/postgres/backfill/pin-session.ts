import type { Session } from '../../target.ts';
import { quoteLiteral } from '../catalog.ts';

/** Settings that make the text of every value the same on every server and role, as SQL literals by name. */
export const PINNED_SETTINGS: Record<string, string> = {
  TimeZone: `'UTC'`,
  DateStyle: `'ISO, YMD'`,
  IntervalStyle: `'postgres'`,
  extra_float_digits: '1',
  bytea_output: `'hex'`,
};

/** Says whose writes a transaction makes, so that the triggers of that backfill's sync leave them alone. */
export const WRITER_SETTING = 'cutover.backfill';

/** Which backfill of which run. */
export type Writer = { runId: string; phase: string };

/** The value of {@link WRITER_SETTING} for a backfill. */
export function writerName({ runId, phase }: Writer): string {
  return `${runId}/${phase}`;
}

/**
 * Makes the text of every value the same on every server and role, so that text taken in one batch casts back exactly
 * in another; and has deferred constraints checked with the statement, where a failing row can still be told.
 * Lasts until the end of the transaction. Can be a transaction's prelude.
 */
export const PINNED_SESSION = [
  ...Object.entries(PINNED_SETTINGS).map(([name, value]) => `SET LOCAL ${name} = ${value}`),
  'SET CONSTRAINTS ALL IMMEDIATE',
].join('; ');

/** {@link PINNED_SESSION} for a transaction that writes rows of the backfill. */
export function writingSession(writer: Writer): string {
  return `${PINNED_SESSION}; SET LOCAL ${WRITER_SETTING} = ${quoteLiteral(writerName(writer))}`;
}

/** The same for a transaction that has begun; of a writer, when rows of a backfill are written. */
export async function pinSession(session: Session, writer?: Writer): Promise<void> {
  await session.query(writer ? writingSession(writer) : PINNED_SESSION);
}
