import type { RowCounts } from '../../../domain/counts.ts';
import type { Session } from '../../target.ts';
import type { Key } from './table.ts';

/** How far a backfill is, as it was last committed. */
export type Checkpoint = {
  /** Names the backfill in the journal. */
  id: string;
  fence: string;
  direction: 'forward' | 'undo';
  pinned: boolean;
  keyColumns: string[];
  /** Columns that the backfill writes, in the order in which the journal keeps them. */
  writtenColumns: string[];
  /** Highest key when the backfill began; null when there was no row. Rows beyond are left to the sync phase. */
  upperBound: Key | null;
  estimatedRows: number;
  cursor: Key | null;
  counts: RowCounts;
  done: boolean;
  /** Rows that undo has put back. */
  restored: number;
  /** Rows that undo left alone, because they changed since. */
  kept: number;
  undone: boolean;
};

const COLUMNS = `
  id::text, fence::text, direction, pinned, key_columns AS "keyColumns", written_columns AS "writtenColumns",
  upper_bound AS "upperBound", estimated_rows::float8 AS "estimatedRows", cursor,
  json_build_object('processed', processed, 'migrated', migrated, 'skipped', skipped,
                    'ambiguous', ambiguous, 'failed', failed) AS counts,
  done, restored::float8 AS restored, kept::float8 AS kept, undone`;

/** The backfill's checkpoint; undefined when it never began on this target. */
export async function selectCheckpoint(
  session: Session,
  runId: string,
  phase: string,
): Promise<Checkpoint | undefined> {
  if (!(await hasOwnTables(session))) return undefined;
  const { rows } = await session.query<Checkpoint>(
    `SELECT ${COLUMNS} FROM cutover.checkpoint WHERE run_id = $1 AND phase = $2`,
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

/**
 * Takes the backfill over: from now on the worker that held the lower fence cannot commit.
 * Undefined when the backfill is being undone or was.
 */
export async function takeForward(
  session: Session,
  runId: string,
  phase: string,
): Promise<Checkpoint | undefined> {
  const { rows } = await session.query<Checkpoint>(
    `INSERT INTO cutover.checkpoint (run_id, phase, fence) VALUES ($1, $2, 1)
     ON CONFLICT (run_id, phase) DO UPDATE SET fence = checkpoint.fence + 1, updated_at = now()
      WHERE checkpoint.direction = 'forward'
     RETURNING ${COLUMNS}`,
    [runId, phase],
  );
  return rows[0];
}

/** Takes the backfill over for its undo, which it cannot leave again. Undefined when it never began. */
export async function takeUndo(
  session: Session,
  runId: string,
  phase: string,
): Promise<Checkpoint | undefined> {
  const { rows } = await session.query<Checkpoint>(
    `UPDATE cutover.checkpoint SET fence = fence + 1, direction = 'undo', updated_at = now()
      WHERE run_id = $1 AND phase = $2
     RETURNING ${COLUMNS}`,
    [runId, phase],
  );
  return rows[0];
}

export type Pin = Pick<Checkpoint, 'keyColumns' | 'writtenColumns' | 'upperBound' | 'estimatedRows'>;

/** Fixes what the backfill covers. Undefined when the fence was lost. */
export async function pinCheckpoint(
  session: Session,
  { id, fence }: Checkpoint,
  pin: Pin,
): Promise<Checkpoint | undefined> {
  const { rows } = await session.query<Checkpoint>(
    `UPDATE cutover.checkpoint
        SET pinned = true, key_columns = $3, written_columns = $4, upper_bound = $5, estimated_rows = $6,
            done = $5::text[] IS NULL, updated_at = now()
      WHERE id = $1 AND fence = $2
     RETURNING ${COLUMNS}`,
    [id, fence, pin.keyColumns, pin.writtenColumns, pin.upperBound, Math.round(pin.estimatedRows)],
  );
  return rows[0];
}

/** Records a batch in the batch's own transaction. Undefined when the fence was lost: the batch must not commit. */
export async function advanceCheckpoint(
  session: Session,
  { id, fence }: Checkpoint,
  batch: { cursor: Key; counts: RowCounts; done: boolean },
): Promise<Checkpoint | undefined> {
  const { counts } = batch;
  const { rows } = await session.query<Checkpoint>(
    `UPDATE cutover.checkpoint
        SET cursor = $3, done = $4, processed = processed + $5, migrated = migrated + $6, skipped = skipped + $7,
            ambiguous = ambiguous + $8, failed = failed + $9, updated_at = now()
      WHERE id = $1 AND fence = $2
     RETURNING ${COLUMNS}`,
    [
      id,
      fence,
      batch.cursor,
      batch.done,
      counts.processed,
      counts.migrated,
      counts.skipped,
      counts.ambiguous,
      counts.failed,
    ],
  );
  return rows[0];
}

/** Records a batch of the undo. Undefined when the fence was lost. */
export async function advanceUndo(
  session: Session,
  { id, fence }: Checkpoint,
  batch: { restored: number; kept: number; undone: boolean },
): Promise<Checkpoint | undefined> {
  const { rows } = await session.query<Checkpoint>(
    `UPDATE cutover.checkpoint
        SET restored = restored + $3, kept = kept + $4, undone = undone OR $5, updated_at = now()
      WHERE id = $1 AND fence = $2
     RETURNING ${COLUMNS}`,
    [id, fence, batch.restored, batch.kept, batch.undone],
  );
  return rows[0];
}

/** Counts rows that were undone one by one, whoever holds the fence: the backfill itself goes on as it was. */
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
