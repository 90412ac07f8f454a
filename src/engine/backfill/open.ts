import {
  type Checkpoint,
  pinCheckpoint,
  selectCheckpoint,
  takeForward,
} from '../../targets/postgres/backfill/checkpoint.ts';
import { cutRanges } from '../../targets/postgres/backfill/cut-ranges.ts';
import { estimateRows } from '../../targets/postgres/backfill/estimate-rows.ts';
import { findUpperBound } from '../../targets/postgres/backfill/find-key.ts';
import { columnsLeftOut, loadInto } from '../../targets/postgres/backfill/insertion.ts';
import { createJournal } from '../../targets/postgres/backfill/journal.ts';
import { loadTable } from '../../targets/postgres/backfill/load-table.ts';
import { PINNED_SESSION } from '../../targets/postgres/backfill/pin-session.ts';
import { insertRanges } from '../../targets/postgres/backfill/ranges.ts';
import { listUnvalidated } from '../../targets/postgres/backfill/read-columns.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { BackfillTable, Key } from '../../targets/postgres/backfill/table.ts';
import { BACKFILL_TABLES } from '../../targets/postgres/backfill/tables.ts';
import { ensureOwnSchema } from '../../targets/postgres/own-schema.ts';
import type { Session, Target } from '../../targets/target.ts';
import { BackfillUndone, isRowError } from '../errors.ts';
import { type BackfillJob, batchOptions, dueRows, type SliceOptions, writtenColumns } from '../job.ts';
import type { BatchContext } from './batch.ts';
import { contextOf } from './context.ts';

/** More ranges than lanes, so that none of them ends long before the others; each claim costs a round trip. */
const MOST_RANGES = 64;
const ROWS_PER_RANGE = 100_000;
/** Tables that one such range would hold are cut as well, for lanes to share what their transform takes its time for. */
const FEWEST_RANGES = 16;
const RANGES_PER_LANE = 2;
const FEWEST_ROWS_PER_RANGE = 5_000;

export type OpenOptions = SliceOptions & {
  /** Rows of the table per range, about; there are at most 64 ranges. Chosen by the size of the table unless given. */
  rowsPerRange?: number | undefined;
};

/**
 * Begins the backfill, or finds out where it is: what it covers is fixed by whoever comes first.
 * @throws BackfillUndone, or Error when the table's key may be NULL, or is no longer the one that the ranges were cut by.
 */
export async function openBackfill(
  target: Target,
  job: BackfillJob,
  options: OpenOptions,
): Promise<{ context: BatchContext; checkpoint: Checkpoint }> {
  return target.transaction({ ...batchOptions(options), prelude: PINNED_SESSION }, async (session) => {
    await ensureOwnSchema(session, BACKFILL_TABLES);
    const taken = await takeForward(session, job.runId, job.phase.name);
    if (taken.direction === 'undo') throw new BackfillUndone(job.runId, job.phase.name);
    const table = await loadTable(session, { ...job.phase, columns: {} });
    const checkpoint = taken.pinned ? taken : await pin(session, job, table, taken, options);
    refuseChangedKey(table, checkpoint);
    const context = await contextOf(session, job, table, checkpoint);
    if (!taken.pinned) await beginJournal(session, job.runId, context);
    return { context, checkpoint };
  });
}

async function pin(
  session: Session,
  job: BackfillJob,
  table: BackfillTable,
  checkpoint: Checkpoint,
  { rowsPerRange }: OpenOptions,
): Promise<Checkpoint> {
  await refuseUnvalidatedKey(session, table);
  const upperBound = await cutTable(session, table, {
    id: checkpoint.id,
    runId: job.runId,
    rowsPerRange,
    lanes: job.phase.parallelism,
  });
  await pinCheckpoint(session, checkpoint, {
    keyColumns: table.key.map((column) => column.name),
    writtenColumns: writtenColumns(job),
    otherColumns: await otherColumns(session, job),
    upperBound,
    estimatedRows: await estimateOrGuess(session, table, dueRows(job.phase)),
  });
  const pinned = await selectCheckpoint(session, job.runId, job.phase.name);
  if (!pinned) throw new Error('a checkpoint that was just pinned is gone');
  return pinned;
}

async function otherColumns(session: Session, { phase: { transform } }: BackfillJob): Promise<string[]> {
  if (transform.kind !== 'insert') return [];
  return columnsLeftOut(await loadInto(session, transform), Object.keys(transform.values));
}

/** Of the rows that are written; of the rows that they come from, where a statement of the plan undoes by their keys. */
async function beginJournal(session: Session, runId: string, context: BatchContext): Promise<void> {
  const { journal, insertion, table, written } = context;
  if (!journal) return;
  const ofRows =
    insertion && journal.keep === 'rows'
      ? { table: insertion.into, written, others: insertion.others }
      : { table, written };
  await createJournal(session, runId, journal, ofRows);
}

/**
 * Cuts the table into ranges up to its highest key, for lanes to claim.
 * @param work whose ranges these are.
 * @returns the highest key; null when the table is empty, and there are no ranges.
 */
export async function cutTable(
  session: Session,
  table: BackfillTable,
  work: { id: string; runId: string; rowsPerRange: number | undefined; lanes: number },
): Promise<Key | null> {
  const upperBound = await findUpperBound(session, table);
  if (!upperBound) return null;
  const rows = await estimateRows(session, table, undefined);
  const ranges = rangesFor(rows, work);
  const bounds = await cutRanges(session, table, upperBound, ranges, rows);
  await insertRanges(session, work.id, work.runId, bounds);
  return upperBound;
}

/** A row on which the plan's condition fails must not keep the backfill from starting: it becomes an exception later. */
export async function estimateOrGuess(
  session: Session,
  table: BackfillTable,
  where: string | undefined,
): Promise<number> {
  try {
    return await withSavepoint(session, () => estimateRows(session, table, where));
  } catch (error) {
    if (!isRowError(error)) throw error;
    return estimateRows(session, table, undefined);
  }
}

/** No range has rows without a key: nobody would notice that they were left out. */
async function refuseUnvalidatedKey(session: Session, { qualifiedName, key }: BackfillTable): Promise<void> {
  const names = key.map((column) => column.name);
  const [name] = await listUnvalidated(session, qualifiedName, names);
  if (name === undefined) return;
  throw new Error(
    `rows of ${qualifiedName} may have no key: "${name}" is NOT NULL, but that was not validated for rows that were there ` +
      'before; ALTER TABLE … VALIDATE CONSTRAINT, or name another `key`',
  );
}

function refuseChangedKey(table: BackfillTable, { keyColumns }: Checkpoint): void {
  const names = table.key.map((column) => column.name);
  if (names.join() !== keyColumns.join()) {
    throw new Error(
      `the key of ${table.qualifiedName} was (${keyColumns.join(', ')}) when the backfill began and is ` +
        `(${names.join(', ')}) now; bring it back, or roll back and start a new run`,
    );
  }
}

/** Fewer ranges are faster, as the batches at their ends are small; more of them can be shared by more lanes. */
function rangesFor(
  rows: number,
  { rowsPerRange, lanes }: { rowsPerRange: number | undefined; lanes: number },
): number {
  if (rowsPerRange !== undefined) return Math.min(MOST_RANGES, Math.ceil(rows / rowsPerRange));
  const shared = Math.max(FEWEST_RANGES, lanes * RANGES_PER_LANE);
  const fewest = Math.min(shared, Math.ceil(rows / FEWEST_ROWS_PER_RANGE));
  return Math.min(MOST_RANGES, Math.max(fewest, Math.ceil(rows / ROWS_PER_RANGE)));
}
