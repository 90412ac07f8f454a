import { PINNED_SESSION } from '../../targets/postgres/backfill/pin-session.ts';
import { COMMIT_SOON } from '../../targets/postgres/commit-soon.ts';
import { type Excuse, listExcuses } from '../../targets/postgres/verify/excuses.ts';
import type { HeldSession, Session } from '../../targets/target.ts';
import { isRowError } from '../errors.ts';
import { type Compared, type Derivation, type Finding, idOf } from './compare.ts';
import type { VerifyJob } from './job.ts';

/** A row that differs, with the reason for which it may, if there is one. */
export type JudgedFinding = Finding & { excuse: Excuse['why'] | undefined };
export type Look = Omit<Compared, 'findings'> & { findings: JudgedFinding[] };

/**
 * What the transactions of a verification begin with: each sees one moment. What the server has not written to disk when it
 * crashes is found out again, so that only the end of a slice has to wait for the disk.
 */
export const ONE_MOMENT = `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; ${PINNED_SESSION}; ${COMMIT_SOON}`;

/**
 * Does the work in a transaction that sees one moment. Rows that cannot be derived end the first attempt; the second looks for
 * them, at the price of a savepoint for each step.
 */
export async function atOneMoment<T>(
  held: HeldSession,
  derivation: Derivation,
  work: (session: Session, derivation: Derivation) => Promise<T>,
): Promise<T> {
  const attempt = (isolateFailures: boolean) =>
    held.transaction((session) =>
      work(session, { ...derivation, context: { ...derivation.context, isolateFailures } }),
    );
  try {
    return await attempt(false);
  } catch (error) {
    if (!isRowError(error)) throw error;
    return attempt(true);
  }
}

/** Does the work in a transaction that sees what others have committed in the meantime, and so never conflicts with it. */
export function atPresent<T>(held: HeldSession, work: (session: Session) => Promise<T>): Promise<T> {
  return held.transaction(async (session) => {
    await session.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
    return work(session);
  });
}

/** Tells which of the rows that differ may. */
export async function excuse(
  session: Session,
  { runId, backfill, syncs }: VerifyJob,
  { context }: Derivation,
  compared: Compared,
): Promise<Look> {
  const keys = compared.findings.map(({ key }) => key);
  const excuses = await listExcuses(session, context.table, { runId, backfill: backfill.name, syncs, keys });
  const why = new Map(excuses.map((excuse) => [idOf(excuse.key), excuse.why]));
  const findings = compared.findings.map((finding) => {
    const found = why.get(idOf(finding.key));
    // What became of a row says nothing about a copy without one.
    return { ...finding, excuse: finding.surplus && found !== 'captured' ? undefined : found };
  });
  return { ...compared, findings };
}
