import { log } from '@temporalio/activity';
import type { BackfillInput, BackfillSliceResult, UndoSliceResult } from '../contracts/activities.ts';
import type { UndoRowsResult } from '../contracts/runs.ts';
import type { ControlDb } from '../db/control-db.ts';
import { storeExceptions } from '../db/exceptions.ts';
import { openLogEntry, updateLogEntry } from '../db/migration-log.ts';
import { reportProgress, thinProgress } from '../db/run-phases.ts';
import type { Progress } from '../db/schema.ts';
import { NO_ROWS, type RowCounts } from '../domain/counts.ts';
import { plural } from '../domain/plural.ts';
import { listExceptions, readCheckpoint, runSlice } from '../engine/backfill.ts';
import { undoRows, undoSlice } from '../engine/undo.ts';
import type { Target } from '../targets/target.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';
import { recorded } from './records.ts';

/** One activity's share of a backfill; history grows with these, not with batches. */
const SLICE_MS = 5 * 60_000;
/** Watchers see progress this often at most. */
const PROGRESS_MS = 500;
const PROGRESS_EVENTS_KEPT = 2_000;
const EXCEPTIONS_PER_COPY = 1_000;
/** The log entry itself shows this many; the rest is listed as exceptions. */
const ERRORS_IN_LOG = 50;

export function backfillActivities(dependencies: Dependencies) {
  const { db } = dependencies;
  return {
    backfillSlice: (input: BackfillInput): Promise<BackfillSliceResult> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        await recorded(openLogEntry(db, logKey(input, 'backfill'), logEntry(input)));
        const { done, counts } = await runSlice(target, job(dependencies, input), {
          signal,
          untilMs: SLICE_MS,
          onProgress: progressReporter(db, input),
        }).finally(() => copyExceptions(db, target, input).catch(logLater));
        await recorded(thinProgress(db, input.runId, input.phase, PROGRESS_EVENTS_KEPT));
        return { done, counts };
      }),

    finishBackfill: (input: BackfillInput): Promise<RowCounts> =>
      whileHeartbeating(async () => {
        const target = targetNamed(dependencies, input.target);
        await copyExceptions(db, target, input);
        const checkpoint = await readCheckpoint(target, input.runId, input.phase);
        const counts = checkpoint?.counts ?? NO_ROWS;
        const errorDetails = await listExceptions(target, input.runId, input.phase, { limit: ERRORS_IN_LOG });
        await recorded(
          updateLogEntry(db, logKey(input, 'backfill'), { counts, errorDetails, outcome: 'completed' }),
        );
        const estimatedRows = counts.processed;
        await recorded(
          reportProgress(db, input.runId, input.phase, { counts, estimatedRows, rowsPerSecond: 0 }),
        );
        return counts;
      }),

    undoBackfillSlice: (input: BackfillInput): Promise<UndoSliceResult> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        await closeInterrupted(db, target, input);
        await recorded(openLogEntry(db, logKey(input, 'undo'), logEntry(input)));
        const result = await undoSlice(target, job(dependencies, input), { signal, untilMs: SLICE_MS });
        await copyExceptions(db, target, input);
        const { restored, kept, done } = result;
        const counts = { ...NO_ROWS, processed: restored + kept, migrated: restored, skipped: kept };
        const outcome = done ? `${plural(restored, 'row')} restored, ${kept} kept` : undefined;
        await recorded(
          updateLogEntry(db, logKey(input, 'undo'), { counts, ...(outcome ? { outcome } : {}) }),
        );
        return { done, restored, kept };
      }),
    undoRows: (input: BackfillInput & { keys: string[][] }): Promise<UndoRowsResult> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        const result = await undoRows(target, job(dependencies, input), input.keys, { signal });
        await copyExceptions(db, target, input);
        return result;
      }),
  };
}

/** A backfill that is undone before its end never finishes by itself. */
async function closeInterrupted(db: ControlDb, target: Target, input: BackfillInput): Promise<void> {
  const { counts } = (await readCheckpoint(target, input.runId, input.phase)) ?? {};
  if (!counts) return;
  const errorDetails = await listExceptions(target, input.runId, input.phase, { limit: ERRORS_IN_LOG });
  const entry = { counts, errorDetails, outcome: 'interrupted' };
  await recorded(updateLogEntry(db, logKey(input, 'backfill'), entry, { onlyIfOpen: true }));
}

function job({ transforms }: Dependencies, { runId, backfill }: BackfillInput) {
  return { runId, phase: backfill, transforms };
}

function logKey({ runId, phase }: BackfillInput, action: 'backfill' | 'undo') {
  return { runId, phase, action };
}

function logEntry({ planName, target, backfill, performedBy }: BackfillInput) {
  return { planName, target, tableName: backfill.table, performedBy: performedBy.name };
}

/** Reports at most every PROGRESS_MS and never more than one at a time; a report that fails is not worth a slice. */
function progressReporter(db: ControlDb, { runId, phase }: BackfillInput): (progress: Progress) => void {
  let last = 0;
  let busy = false;
  return ({ counts, estimatedRows, rowsPerSecond }) => {
    const now = Date.now();
    if (busy || now - last < PROGRESS_MS) return;
    last = now;
    busy = true;
    reportProgress(db, runId, phase, { counts, estimatedRows, rowsPerSecond })
      .catch(logLater)
      .finally(() => {
        busy = false;
      });
  };
}

/** Copies exceptions to the control database, which answers for them from then on. */
async function copyExceptions(db: ControlDb, target: Target, { runId, phase }: BackfillInput): Promise<void> {
  let after: string | undefined;
  for (;;) {
    const page = await listExceptions(target, runId, phase, { after, limit: EXCEPTIONS_PER_COPY });
    await recorded(
      storeExceptions(
        db,
        page.map(({ key, kind, reason, suggestion, sqlstate }) => ({
          runId,
          phase,
          key: JSON.stringify(key),
          kind,
          reason,
          suggestion,
          sqlstate,
        })),
      ),
    );
    after = page.at(-1)?.id;
    if (page.length < EXCEPTIONS_PER_COPY) return;
  }
}

function logLater(error: unknown): void {
  log.warn('the control database did not take a report; the next one will say more', { error });
}
