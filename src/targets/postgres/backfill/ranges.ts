import type { RowCounts } from '../../../domain/counts.ts';
import type { Session } from '../../target.ts';
import type { Key } from './table.ts';

/** Part of a backfill's keys, on which one lane works at a time. */
export type Range = {
  number: number;
  /** Held by the lane that claimed it last; without it nothing of the range commits. */
  fence: string;
  /** The rows left to do lie beyond this key; null when none is done and the range is the first. */
  after: Key | null;
  upTo: Key;
  done: boolean;
};

/** Who claims a range. A lane that is started anew, after a crash or a pause, takes back what it had at once. */
export type Claimant = {
  /** Names the lane of the backfill, the same however often it is started. */
  lane: string;
  /** Rises with each start of the lane, as milliseconds since the epoch do. */
  since: number;
};

const COLUMNS = `number, fence::text, coalesce(cursor, after) AS after, up_to AS "upTo", done`;

/** Stores the ranges of a backfill, between the bounds in their order; the first begins with the table's first row. */
export async function insertRanges(
  session: Session,
  backfill: string,
  runId: string,
  bounds: readonly Key[],
): Promise<void> {
  const ranges = bounds.map((upTo, number) => ({ number, after: bounds[number - 1] ?? null, up_to: upTo }));
  await session.query(
    `INSERT INTO cutover.range (backfill, run_id, number, after, up_to)
     SELECT $1, $2, number, after, up_to
       FROM jsonb_to_recordset($3::jsonb) AS given(number int, after text[], up_to text[])`,
    [backfill, runId, JSON.stringify(ranges)],
  );
}

/**
 * Claims the first range that nobody works on: from now on whoever had it cannot commit. Undefined when there is none,
 * because all are done or in other hands, or the backfill is being undone.
 * @param leaseMs after so long without a batch the range is free for anyone.
 */
export async function claimRange(
  session: Session,
  backfill: string,
  { lane, since }: Claimant,
  leaseMs: number,
): Promise<Range | undefined> {
  const { rows } = await session.query<Range>(
    `UPDATE cutover.range
        SET fence = fence + 1, lane = $2, lane_since = $3, claimed_until = now() + $4 * interval '1 ms'
       -- Nothing waits for the disk: a claim that a crash of the server undoes is of a connection that is gone as well.
       FROM (SELECT set_config('synchronous_commit', 'off', true)) AS commit_soon
      WHERE backfill = $1
        AND number = (
          SELECT number FROM cutover.range
           WHERE backfill = $1 AND NOT done
             AND (claimed_until IS NULL OR claimed_until < now() OR (lane = $2 AND lane_since < $3))
           ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING ${COLUMNS}`,
    [backfill, lane, since, leaseMs],
  );
  return rows[0];
}

/** Records a batch in the batch's own transaction. Undefined when the fence was lost: the batch must not commit. */
export async function advanceRange(
  session: Session,
  backfill: string,
  { number, fence }: Range,
  batch: { cursor: Key; counts: RowCounts; done: boolean; leaseMs: number },
): Promise<Range | undefined> {
  const { processed, migrated, skipped, ambiguous, failed } = batch.counts;
  const { rows } = await session.query<Range>(
    `UPDATE cutover.range
        SET cursor = $4, done = $5, processed = processed + $6, migrated = migrated + $7, skipped = skipped + $8,
            ambiguous = ambiguous + $9, failed = failed + $10,
            claimed_until = clock_timestamp() + $11 * interval '1 ms', updated_at = clock_timestamp()
      WHERE backfill = $1 AND number = $2 AND fence = $3
     RETURNING ${COLUMNS}`,
    [
      backfill,
      number,
      fence,
      batch.cursor,
      batch.done,
      processed,
      migrated,
      skipped,
      ambiguous,
      failed,
      batch.leaseMs,
    ],
  );
  return rows[0];
}

/** Lets go of a range, if it is still held, so that others need not wait for the lease to run out. */
export async function releaseRange(
  session: Session,
  backfill: string,
  { number, fence }: Range,
): Promise<void> {
  await session.query(
    `UPDATE cutover.range SET lane = NULL, lane_since = NULL, claimed_until = NULL
      WHERE backfill = $1 AND number = $2 AND fence = $3`,
    [backfill, number, fence],
  );
}
