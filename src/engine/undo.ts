import {
  addToUndo,
  advanceUndo,
  type Checkpoint,
  selectCheckpoint,
  takeUndo,
} from '../targets/postgres/backfill/checkpoint.ts';
import { insertExceptions, type RowException } from '../targets/postgres/backfill/exceptions.ts';
import { columnNamed, loadTable } from '../targets/postgres/backfill/load-table.ts';
import { pinSession } from '../targets/postgres/backfill/pin-session.ts';
import { analyseJournal, lookUpByKey } from '../targets/postgres/backfill/plan-choice.ts';
import { listJournalled, markKept, selectJournalled } from '../targets/postgres/backfill/restore-rows.ts';
import type { Key } from '../targets/postgres/backfill/table.ts';
import type { Session, Target } from '../targets/target.ts';
import { LeaseLost } from './errors.ts';
import { type BackfillJob, batchOptions, SliceClock, type SliceOptions } from './job.ts';
import { putBack, type UndoContext } from './put-back.ts';

export type UndoResult = {
  done: boolean;
  /** Rows that got their old values back, over all slices. */
  restored: number;
  /** Rows left as they are, because they changed since they were migrated; listed as exceptions of the kind `kept`. */
  kept: number;
};

export type UndoOptions = SliceOptions & {
  onProgress?: ((progress: { restored: number; kept: number; rowsPerSecond: number }) => void) | undefined;
};

const NOTHING_TO_UNDO: UndoResult = { done: true, restored: 0, kept: 0 };

/**
 * Takes the backfill over, forward for good no more, and undoes it in batches, each one transaction, until all is undone
 * or the time is used up. Call it again until it says `done`; what was undone once is not touched again.
 * @throws LeaseLost when another worker has taken over, the signal's reason, or the server's error.
 */
export async function undoSlice(
  target: Target,
  job: BackfillJob,
  options: UndoOptions = {},
): Promise<UndoResult> {
  const clock = new SliceClock();
  const opened = await target.transaction(batchOptions(options), (session) => open(session, job));
  if (!opened) return NOTHING_TO_UNDO;
  let { checkpoint } = opened;
  const before = checkpoint.restored + checkpoint.kept;
  let after: Key | undefined;
  while (!checkpoint.undone) {
    const batch = await runBatch(target, job, opened.context, checkpoint, after, options);
    ({ checkpoint, after } = batch);
    const { restored, kept } = checkpoint;
    options.onProgress?.({ restored, kept, rowsPerSecond: clock.rate(restored + kept - before) });
    if (clock.isOver(options)) break;
  }
  const { undone, restored, kept } = checkpoint;
  return { done: undone, restored, kept };
}

/**
 * Undoes just these rows, at any time after they were migrated, also while the backfill goes on.
 * @param keys a value per key column, as text and as exceptions and samples show them: `[['42'], ['43']]`.
 * @returns the keys by what became of them; `unknown` were not migrated by this run, or are undone already.
 * @throws Error when the plan keeps no way back, or the signal's reason.
 */
export async function undoRows(
  target: Target,
  job: BackfillJob,
  keys: readonly Key[],
  options: SliceOptions = {},
): Promise<{ restored: Key[]; kept: Key[]; unknown: Key[] }> {
  const { undo, name } = job.phase;
  if (undo.kind === 'none') {
    throw new Error(`phase "${name}" has \`undo: none\`, so nothing was kept to restore its rows from`);
  }
  return target.transaction(batchOptions(options), async (session) => {
    const checkpoint = await selectCheckpoint(session, job.runId, name);
    if (!checkpoint?.pinned) return { restored: [], kept: [], unknown: [...keys] };
    await pinSession(session);
    await lookUpByKey(session);
    const context = await contextOf(session, job, checkpoint);
    refuseWrongKeys(context, keys);
    const known = await selectJournalled(session, context.table, checkpoint.id, keys);
    const { restored, kept } = await putBackAndRecord(
      session,
      job,
      context,
      known.map(({ key }) => key),
    );
    const keptBefore = known.filter((row) => row.kept).length;
    await addToUndo(session, checkpoint, { restored: restored.length, kept: kept.length - keptBefore });
    const knownIds = new Set(known.map(({ key }) => idOf(key)));
    return { restored, kept, unknown: keys.filter((key) => !knownIds.has(idOf(key))) };
  });
}

async function open(
  session: Session,
  job: BackfillJob,
): Promise<{ checkpoint: Checkpoint; context: UndoContext } | undefined> {
  const exists = await selectCheckpoint(session, job.runId, job.phase.name);
  const checkpoint = exists && (await takeUndo(session, job.runId, job.phase.name));
  if (!checkpoint?.pinned || job.phase.undo.kind === 'none') return undefined;
  await analyseJournal(session);
  return { checkpoint, context: await contextOf(session, job, checkpoint) };
}

/** By what the checkpoint says, not by the plan's transform: that one need not be registered any more. */
async function contextOf(
  session: Session,
  { phase }: BackfillJob,
  checkpoint: Checkpoint,
): Promise<UndoContext> {
  const table = await loadTable(session, { table: phase.table, key: checkpoint.keyColumns, columns: {} });
  return {
    undo: phase.undo,
    table,
    backfill: checkpoint.id,
    written: checkpoint.writtenColumns.map((name) => columnNamed(table.columns, name, table.qualifiedName)),
  };
}

async function runBatch(
  target: Target,
  job: BackfillJob,
  context: UndoContext,
  checkpoint: Checkpoint,
  after: Key | undefined,
  options: SliceOptions,
): Promise<{ checkpoint: Checkpoint; after: Key | undefined }> {
  return target.transaction(batchOptions(options), async (session) => {
    await pinSession(session);
    await lookUpByKey(session);
    const keys = await listJournalled(session, context.backfill, after, job.phase.batchSize);
    const { restored, kept } = await putBackAndRecord(session, job, context, keys);
    const advanced = await advanceUndo(session, checkpoint, {
      restored: restored.length,
      kept: kept.length,
      undone: keys.length === 0,
    });
    if (!advanced) throw new LeaseLost(job.runId, job.phase.name);
    return { checkpoint: advanced, after: keys.at(-1) };
  });
}

async function putBackAndRecord(
  session: Session,
  job: BackfillJob,
  context: UndoContext,
  keys: readonly Key[],
): Promise<{ restored: Key[]; kept: Key[] }> {
  if (keys.length === 0) return { restored: [], kept: [] };
  const { restored, kept } = await putBack(session, context, keys);
  await recordKept(session, job, context, kept);
  return { restored, kept: kept.map(({ key }) => key) };
}

async function recordKept(
  session: Session,
  { runId, phase }: BackfillJob,
  { table, backfill }: UndoContext,
  kept: readonly RowException[],
): Promise<void> {
  if (kept.length === 0) return;
  await markKept(
    session,
    table,
    backfill,
    kept.map(({ key }) => key),
  );
  await insertExceptions(session, runId, phase.name, kept);
}

function refuseWrongKeys({ table }: UndoContext, keys: readonly Key[]): void {
  const wrong = keys.find((key) => key.length !== table.key.length);
  if (!wrong) return;
  const names = table.key.map((column) => column.name).join(', ');
  throw new Error(
    `a key of ${table.qualifiedName} has ${table.key.length} values (${names}); given was [${wrong.join(', ')}]`,
  );
}

function idOf(key: Key): string {
  return JSON.stringify(key);
}
