import { Context } from '@temporalio/activity';
import type { BackfillInput, BackfillSliceInput, BackfillSliceResult } from '../contracts/activities.ts';
import { openLogEntry, updateLogEntry } from '../db/migration-log.ts';
import { reportProgress, thinProgress } from '../db/run-phases.ts';
import { NO_ROWS, type RowCounts } from '../domain/counts.ts';
import { durationMs } from '../domain/duration.ts';
import { listExceptions, readCheckpoint } from '../engine/backfill/records.ts';
import { runSlice } from '../engine/backfill/slice.ts';
import { openPace } from '../engine/load/pace.ts';
import type { Claimant } from '../targets/postgres/backfill/ranges.ts';
import { copyExceptions } from './copy-exceptions.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';
import { logLater, ProgressReporter } from './progress.ts';
import { recorded } from './records.ts';

/** One activity's share of a backfill; history grows with these, not with batches. */
export const SLICE_MS = 5 * 60_000;
export const PROGRESS_EVENTS_KEPT = 2_000;
/** The log entry itself shows this many; the rest is listed as exceptions. */
export const ERRORS_IN_LOG = 50;

export function backfillActivities(dependencies: Dependencies) {
  const { db } = dependencies;
  return {
    backfillSlice: (input: BackfillSliceInput): Promise<BackfillSliceResult> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        await recorded(openLogEntry(db, logKey(input, 'backfill'), logEntry(input)));
        const job = jobOf(dependencies, input);
        const pace = openPace(target, job, {
          direction: 'forward',
          lanes: input.backfill.parallelism,
          signal,
        });
        const reporter = new ProgressReporter(db, input, 'forward', pace);
        const { done, counts, estimatedRows, closed } = await runSlice(target, job, {
          signal,
          pace,
          lockTimeoutMs: durationMs(input.backfill.lockTimeout),
          claimant: claimant(input),
          untilMs: SLICE_MS,
          onProgress: (progress) => reporter.report(progress),
        }).finally(async () => {
          await Promise.all([pace.close(), reporter.settled()]);
          await copyExceptions(db, target, input).catch(logLater);
        });
        if (closed) await recorded(reporter.closed({ counts, estimatedRows }, closed));
        await recorded(thinProgress(db, input.runId, input.phase, PROGRESS_EVENTS_KEPT));
        return { done, counts, ...(closed ? { closed: { ...closed, until: closed.until.getTime() } } : {}) };
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
  };
}

/** A lane that is started again, after a crash or a pause, is scheduled later than before. */
function claimant({ lane }: BackfillSliceInput): Claimant {
  return { lane: `lane-${lane}`, since: Context.current().info.currentAttemptScheduledTimestampMs };
}

export function jobOf({ transforms }: Dependencies, { runId, backfill }: BackfillInput) {
  return { runId, phase: backfill, transforms };
}

export function logKey({ runId, phase }: BackfillInput, action: 'backfill' | 'undo') {
  return { runId, phase, action };
}

export function logEntry({ planName, target, backfill, performedBy }: BackfillInput) {
  return { planName, target, tableName: backfill.table, performedBy: performedBy.name };
}
