import type { Session } from '../../target.ts';
import { hasOwnTables } from './checkpoint.ts';
import { asRecorded, EXCEPTION_COLUMNS, type ExceptionRow, type RecordedException } from './exceptions.ts';

/** Place in the changes of a phase's exceptions: the transaction of a change, and the record. */
export type ChangePlace = { changedIn: string; id: string };

/**
 * The next exceptions that were recorded or changed since, oldest change first.
 *
 * Transactions get their numbers before they commit, so a lower number may turn up later than a higher one. `seenUntil` is the
 * lowest number that may still turn up: whoever has read all pages begins there the next time, and misses nothing.
 * @param from `seenUntil` of an earlier time; undefined for everything.
 */
export async function selectChangedExceptions(
  session: Session,
  runId: string,
  phase: string,
  { from, after, limit }: { from?: string | undefined; after?: ChangePlace | undefined; limit: number },
): Promise<{ changed: (RecordedException & { changedIn: string })[]; seenUntil: string }> {
  const { rows: snapshot } = await session.query<{ xmin: string; xmax: string }>(
    `SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin, pg_snapshot_xmax(pg_current_snapshot())::text AS xmax`,
  );
  const { xmin = '0', xmax = '0' } = snapshot[0] ?? {};
  if (!(await hasOwnTables(session))) return { changed: [], seenUntil: xmin };
  // A database that was restored elsewhere may count its transactions from an earlier number on.
  const since = from !== undefined && BigInt(from) <= BigInt(xmax) ? from : '0';
  const { rows } = await session.query<ExceptionRow & { changedIn: string }>(
    `SELECT ${EXCEPTION_COLUMNS}, changed_in::text AS "changedIn" FROM cutover.exception
      WHERE run_id = $1 AND phase = $2 AND (changed_in, id) > ($3::text::xid8, $4::bigint)
      ORDER BY exception.changed_in, exception.id
      LIMIT $5`,
    after ? [runId, phase, after.changedIn, after.id, limit] : [runId, phase, since, 0, limit],
  );
  return { changed: rows.map(asRecorded), seenUntil: xmin };
}
