import type { RowCounts } from '../../../domain/counts.ts';
import type { Session } from '../../target.ts';
import type { Key } from './table.ts';

/** How far a backfill is, as it was last committed. */
export type Checkpoint = {
  /** Names the backfill in the journal. */
  id: string;
  direction: 'forward' | 'undo';
  pinned: boolean;
  keyColumns: string[];
  /** Columns that the backfill writes, in the order in which the journal keeps them. */
  writtenColumns: string[];
  /** Columns of the table that the plan inserts into and does not write, in the journal's order as well. */
  otherColumns: string[];
  /** Highest key when the backfill began; null when there was no row. Rows beyond are left to the sync phase. */
  upperBound: Key | null;
  estimatedRows: number;
  /** Over all ranges. */
  counts: RowCounts;
  /** Every range is done. */
  done: boolean;
  /** Rows that there were to restore when the undo began, those that had been restored one by one included. */
  undoRows: number | null;
  /** The undo has been through the journal down to this key, except for rows that somebody holds. */
  undoCursor: Key | null;
  /** Rows that undo has put back. */
  restored: number;
  /** Rows that undo left alone, because they changed since. */
  kept: number;
  undone: boolean;
};

const COLUMNS = `
  id::text, direction, pinned, key_columns AS "keyColumns", written_columns AS "writtenColumns",
  other_columns AS "otherColumns",  upper_bound AS "upperBound", estimated_rows::float8 AS "estimatedRows",
  undo_rows::float8 AS "undoRows", undo_cursor AS "undoCursor", restored::float8 AS restored, kept::float8 AS kept, undone,
  totals.counts, pinned AND totals.done AS done`;

/** What became of rows since, through a decision on an exception, is added to what their batches counted. */
const TOTALS = `
  SELECT json_build_object('processed', coalesce(sum(processed), 0),
                           'migrated', coalesce(sum(migrated), 0) + settled_migrated,
                           'skipped', coalesce(sum(skipped), 0) + settled_skipped,
                           'ambiguous', coalesce(sum(ambiguous), 0) + settled_ambiguous,
                           'failed', coalesce(sum(failed), 0) + settled_failed) AS counts,
         coalesce(bool_and(done), true) AS done
    FROM cutover.range WHERE backfill = checkpoint.id`;

/** The backfill's checkpoint; undefined when it never began on this target. */
export async function selectCheckpoint(
  session: Session,
  runId: string,
  phase: string,
): Promise<Checkpoint | undefined> {
  if (!(await hasOwnTables(session))) return undefined;
  const { rows } = await session.query<Checkpoint>(
    `SELECT ${COLUMNS} FROM cutover.checkpoint CROSS JOIN LATERAL (${TOTALS}) AS totals
      WHERE run_id = $1 AND phase = $2`,
    [runId, phase],
  );
  return rows[0];
}

export async function hasOwnTables(session: Session): Promise<boolean> {
  const { rows } = await session.query<{ there: boolean }>(
    `SELECT to_regclass('cutover.checkpoint') IS NOT NULL AS there`,
  );
  return rows[0]?.there === true;
}

/** Makes sure that the backfill has a checkpoint; whoever finds it not pinned yet holds it until its transaction ends. */
export async function takeForward(session: Session, runId: string, phase: string): Promise<Checkpoint> {
  await session.query(
    'INSERT INTO cutover.checkpoint (run_id, phase) VALUES ($1, $2) ON CONFLICT (run_id, phase) DO NOTHING',
    [runId, phase],
  );
  await session.query(
    'SELECT FROM cutover.checkpoint WHERE run_id = $1 AND phase = $2 AND NOT pinned FOR UPDATE',
    [runId, phase],
  );
  const checkpoint = await selectCheckpoint(session, runId, phase);
  if (!checkpoint)
    throw new Error(`the checkpoint of phase "${phase}" of run ${runId} was removed meanwhile`);
  return checkpoint;
}

/**
 * Takes the backfill over for its undo, which it cannot leave again, and its ranges away from every lane.
 * @returns whether this call did so; false when that was done before, or the backfill never began.
 */
export async function takeUndo(session: Session, { id }: Pick<Checkpoint, 'id'>): Promise<boolean> {
  const { rowCount } = await session.query(
    `UPDATE cutover.checkpoint SET direction = 'undo', updated_at = now() WHERE id = $1 AND direction = 'forward'`,
    [id],
  );
  if (rowCount === 0) return false;
  // A lane that claims at this moment looks at the range again once it is ours, and finds it claimed for ever.
  await session.query(
    `UPDATE cutover.range SET fence = fence + 1, lane = NULL, lane_since = NULL, claimed_until = 'infinity'
      WHERE backfill = $1`,
    [id],
  );
  return true;
}

/** Notes how many rows of the journal there are to restore; those that were restored one by one are added. */
export async function pinUndo(session: Session, { id }: Checkpoint, journalled: number): Promise<void> {
  await session.query('UPDATE cutover.checkpoint SET undo_rows = restored + kept + $2 WHERE id = $1', [
    id,
    Math.round(journalled),
  ]);
}

export type Pin = Pick<
  Checkpoint,
  'keyColumns' | 'writtenColumns' | 'otherColumns' | 'upperBound' | 'estimatedRows'
>;

/** Fixes what the backfill covers. */
export async function pinCheckpoint(session: Session, { id }: Checkpoint, pin: Pin): Promise<void> {
  await session.query(
    `UPDATE cutover.checkpoint
        SET pinned = true, key_columns = $2, written_columns = $3, other_columns = $4, upper_bound = $5,
            estimated_rows = $6, updated_at = now()
      WHERE id = $1`,
    [id, pin.keyColumns, pin.writtenColumns, pin.otherColumns, pin.upperBound, Math.round(pin.estimatedRows)],
  );
}

/** Returns when all that was committed before can't be lost any more: the disk takes commits in their order. */
export async function makeDurable(session: Session, { id }: Checkpoint): Promise<void> {
  await session.query('UPDATE cutover.checkpoint SET updated_at = now() WHERE id = $1', [id]);
}

/**
 * Records a batch of the undo. Undefined when the backfill was forgotten meanwhile.
 * @param batch `last` is the lowest key that it came to.
 */
export async function advanceUndo(
  session: Session,
  { id }: Checkpoint,
  batch: { restored: number; kept: number; last: Key | undefined },
): Promise<{ restored: number; kept: number } | undefined> {
  const { rows } = await session.query<{ restored: number; kept: number }>(
    `UPDATE cutover.checkpoint
        SET restored = restored + $2, kept = kept + $3, undo_cursor = coalesce($4, undo_cursor),
            updated_at = clock_timestamp()
      WHERE id = $1
     RETURNING restored::float8 AS restored, kept::float8 AS kept`,
    [id, batch.restored, batch.kept, batch.last ?? null],
  );
  return rows[0];
}

/** Holds the undo alone until the end of the transaction; false when somebody else does. */
export async function holdUndo(session: Session, { id }: Checkpoint): Promise<boolean> {
  const { rowCount } = await session.query(
    'SELECT FROM cutover.checkpoint WHERE id = $1 FOR UPDATE SKIP LOCKED',
    [id],
  );
  return rowCount === 1;
}

/** Nothing is left that could be restored. */
export async function finishUndo(session: Session, { id }: Checkpoint): Promise<void> {
  await session.query('UPDATE cutover.checkpoint SET undone = true, updated_at = now() WHERE id = $1', [id]);
}

/** Counts rows that were undone one by one; the backfill itself goes on as it was. */
export async function addToUndo(
  session: Session,
  { id }: Checkpoint,
  rows: { restored: number; kept: number },
): Promise<void> {
  await session.query(
    `UPDATE cutover.checkpoint SET restored = restored + $2, kept = kept + $3, updated_at = now() WHERE id = $1`,
    [id, rows.restored, rows.kept],
  );
}
