import type { RowCounts } from '../domain/counts.ts';
import { budgetExceeded } from '../domain/error-budget.ts';
import {
  advanceCheckpoint,
  type Checkpoint,
  pinCheckpoint,
  takeForward,
} from '../targets/postgres/backfill/checkpoint.ts';
import { estimateRows } from '../targets/postgres/backfill/estimate-rows.ts';
import { insertExceptions } from '../targets/postgres/backfill/exceptions.ts';
import { findBatchEnd, findUpperBound } from '../targets/postgres/backfill/find-key.ts';
import { columnNamed, loadTable } from '../targets/postgres/backfill/load-table.ts';
import { pinSession } from '../targets/postgres/backfill/pin-session.ts';
import { withSavepoint } from '../targets/postgres/backfill/savepoint.ts';
import type { BackfillTable } from '../targets/postgres/backfill/table.ts';
import { BACKFILL_TABLES } from '../targets/postgres/backfill/tables.ts';
import { ensureOwnSchema } from '../targets/postgres/own-schema.ts';
import type { Session, Target } from '../targets/target.ts';
import type { BatchContext, BatchResult } from './batch.ts';
import { BackfillUndone, BudgetExceeded, isRowError, LeaseLost } from './errors.ts';
import {
  type BackfillJob,
  type BatchProgress,
  batchOptions,
  SliceClock,
  type SliceOptions,
  writtenColumns,
} from './job.ts';
import { migrateByTransform } from './registered-batch.ts';
import { migrateBySql } from './sql-batch.ts';

export type SliceResult = {
  done: boolean;
  /** Totals of the phase, over all slices. */
  counts: RowCounts;
  processedThisSlice: number;
  estimatedRows: number;
};

export type ForwardOptions = SliceOptions & { onProgress?: ((progress: BatchProgress) => void) | undefined };

/**
 * Takes the backfill over from whoever had it and runs batches, from the last committed checkpoint on, until all rows are
 * dealt with or the time is used up. Each batch is one transaction: its rows, their pre-images, its exceptions and the
 * checkpoint commit together or not at all. Call it again until it says `done`.
 * @throws LeaseLost when another worker has taken over, BudgetExceeded when too many rows fail, BackfillUndone, the
 * signal's reason, or the server's error: in each case after what was committed before.
 */
export async function runSlice(
  target: Target,
  job: BackfillJob,
  options: ForwardOptions = {},
): Promise<SliceResult> {
  const clock = new SliceClock();
  const opened = await open(target, job, options);
  const { context } = opened;
  let { checkpoint } = opened;
  const before = checkpoint.counts.processed;
  judgeBudget(job, checkpoint);
  while (!checkpoint.done) {
    const batchStarted = clock.elapsedMs();
    checkpoint = await runBatch(target, job, context, checkpoint, options);
    options.onProgress?.({
      counts: checkpoint.counts,
      cursor: checkpoint.cursor ?? [],
      estimatedRows: estimate(checkpoint),
      rowsPerSecond: clock.rate(checkpoint.counts.processed - before),
      batchMs: clock.elapsedMs() - batchStarted,
    });
    judgeBudget(job, checkpoint);
    if (clock.isOver(options)) break;
  }
  const { done, counts } = checkpoint;
  return {
    done,
    counts,
    processedThisSlice: counts.processed - before,
    estimatedRows: estimate(checkpoint),
  };
}

function judgeBudget({ phase }: BackfillJob, { counts }: Checkpoint): void {
  const exceeded = budgetExceeded(phase.errorBudget, counts);
  if (exceeded) throw new BudgetExceeded(phase.name, exceeded);
}

/** Never less than what is already done. */
function estimate({ done, counts, estimatedRows }: Checkpoint): number {
  return done ? counts.processed : Math.max(estimatedRows, counts.processed);
}

async function open(
  target: Target,
  job: BackfillJob,
  options: SliceOptions,
): Promise<{ context: BatchContext; checkpoint: Checkpoint }> {
  return target.transaction(batchOptions(options), async (session) => {
    await ensureOwnSchema(session, BACKFILL_TABLES);
    await pinSession(session);
    const taken = await takeForward(session, job.runId, job.phase.name);
    if (!taken) throw new BackfillUndone(job.runId, job.phase.name);
    const table = await loadTable(session, { ...job.phase, columns: {} });
    const checkpoint = taken.pinned ? taken : await pin(session, job, table, taken);
    refuseChangedKey(table, checkpoint);
    return { context: contextOf(job, table, checkpoint), checkpoint };
  });
}

async function pin(
  session: Session,
  job: BackfillJob,
  table: BackfillTable,
  checkpoint: Checkpoint,
): Promise<Checkpoint> {
  const pinned = await pinCheckpoint(session, checkpoint, {
    keyColumns: table.key.map((column) => column.name),
    writtenColumns: writtenColumns(job),
    upperBound: (await findUpperBound(session, table)) ?? null,
    estimatedRows: await estimateOrGuess(session, job, table),
  });
  if (!pinned) throw new LeaseLost(job.runId, job.phase.name);
  return pinned;
}

/** A row on which the plan's condition fails must not keep the backfill from starting: it becomes an exception later. */
async function estimateOrGuess(
  session: Session,
  { phase }: BackfillJob,
  table: BackfillTable,
): Promise<number> {
  try {
    return await withSavepoint(session, () => estimateRows(session, table, phase.where));
  } catch (error) {
    if (!isRowError(error)) throw error;
    return estimateRows(session, table, undefined);
  }
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

function contextOf(job: BackfillJob, table: BackfillTable, checkpoint: Checkpoint): BatchContext {
  const { phase, transforms, runId } = job;
  const { transform, undo } = phase;
  return {
    phase,
    table,
    written: checkpoint.writtenColumns.map((name) => columnNamed(table.columns, name, table.qualifiedName)),
    journal:
      undo.kind === 'none'
        ? undefined
        : { backfill: checkpoint.id, runId, keep: undo.kind === 'journal' ? 'rows' : 'keys' },
    transform:
      transform.kind === 'registered' ? transforms.lookup(transform.name, transform.version) : undefined,
  };
}

async function runBatch(
  target: Target,
  job: BackfillJob,
  context: BatchContext,
  checkpoint: Checkpoint,
  options: SliceOptions,
): Promise<Checkpoint> {
  const { phase, table } = context;
  const { upperBound } = checkpoint;
  if (!upperBound) throw new Error('a backfill of no rows has no batch');
  const rest = { after: checkpoint.cursor ?? undefined, upTo: upperBound };
  return target.transaction(batchOptions(options), async (session) => {
    await pinSession(session);
    const end = (await findBatchEnd(session, table, rest, phase.batchSize)) ?? upperBound;
    const { counts, exceptions } = await migrate(session, context, { ...rest, upTo: end });
    await insertExceptions(session, job.runId, phase.name, exceptions);
    const done = end.join('\0') === upperBound.join('\0');
    const advanced = await advanceCheckpoint(session, checkpoint, { cursor: end, counts, done });
    if (!advanced) throw new LeaseLost(job.runId, phase.name);
    return advanced;
  });
}

function migrate(
  session: Session,
  context: BatchContext,
  range: { after?: string[] | undefined; upTo: string[] },
): Promise<BatchResult> {
  const { transform } = context.phase;
  if (context.transform) return migrateByTransform(session, context, context.transform, range);
  if (transform.kind === 'sql') return migrateBySql(session, context, transform.set, range);
  throw new Error(`the transform ${transform.name}@${transform.version} was not looked up`);
}
