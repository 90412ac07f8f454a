import type {
  BackfillInput,
  BackfillSliceInput,
  UndoBeginning,
  UndoSliceResult,
} from '../contracts/activities.ts';
import type { ControlDb } from '../db/control-db.ts';
import { openLogEntry, updateLogEntry } from '../db/migration-log.ts';
import { reportProgress, thinProgress } from '../db/run-phases.ts';
import { NO_ROWS } from '../domain/counts.ts';
import { durationMs } from '../domain/duration.ts';
import { plural } from '../domain/plural.ts';
import { listExceptions, readCheckpoint } from '../engine/backfill/records.ts';
import { openPace } from '../engine/load/pace.ts';
import { beginUndo } from '../engine/undo/begin.ts';
import { inHoursOfUndo } from '../engine/undo/context.ts';
import { undoSlice } from '../engine/undo/undo.ts';
import type { Target } from '../targets/target.ts';
import { ERRORS_IN_LOG, jobOf, logEntry, logKey, PROGRESS_EVENTS_KEPT, SLICE_MS } from './backfill.ts';
import { copyExceptions } from './copy-exceptions.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';
import { logLater, ProgressReporter } from './progress.ts';
import { recorded } from './records.ts';

export function undoActivities(dependencies: Dependencies) {
  const { db } = dependencies;
  return {
    beginUndo: (input: BackfillInput): Promise<UndoBeginning> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        await closeInterrupted(db, target, input);
        const begun = await beginUndo(target, jobOf(dependencies, input), {
          signal,
          statementTimeoutMs: COUNTING_MS,
        });
        if (!begun) return { rows: 0, exact: true };
        await recorded(openLogEntry(db, logKey(input, 'undo'), logEntry(input)));
        const { rows, exact, checkpoint } = begun;
        // Otherwise the phase would show how far the backfill had come.
        const progress = { counts: countsOf(checkpoint), estimatedRows: rows, rowsPerSecond: 0 };
        await recorded(reportProgress(db, input.runId, input.phase, progress, 'restored'));
        return { rows, exact };
      }),

    undoBackfillSlice: (input: BackfillSliceInput): Promise<UndoSliceResult> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        const job = jobOf(dependencies, input);
        const pace = openPace(
          target,
          { ...job, phase: inHoursOfUndo(job.phase) },
          { direction: 'undo', lanes: input.backfill.parallelism, signal },
        );
        const reporter = new ProgressReporter(db, input, 'undo', pace);
        const result = await undoSlice(target, job, {
          signal,
          pace,
          lockTimeoutMs: durationMs(input.backfill.lockTimeout),
          untilMs: SLICE_MS,
          onProgress: (progress) => reporter.report(progress),
        }).finally(async () => {
          await Promise.all([pace.close(), reporter.settled()]);
          await copyExceptions(db, target, input).catch(logLater);
        });
        const { closed, ...rest } = result;
        if (closed)
          await recorded(reporter.closed({ counts: countsOf(rest), estimatedRows: rest.rows }, closed));
        await recorded(thinProgress(db, input.runId, input.phase, PROGRESS_EVENTS_KEPT));
        return { ...rest, ...(closed ? { closed: { ...closed, until: closed.until.getTime() } } : {}) };
      }),

    finishUndo: (input: BackfillInput): Promise<{ restored: number; kept: number }> =>
      whileHeartbeating(async () => {
        const target = targetNamed(dependencies, input.target);
        await copyExceptions(db, target, input);
        const { restored, kept } = (await readCheckpoint(target, input.runId, input.phase)) ?? NOTHING;
        const counts = countsOf({ restored, kept });
        const outcome = `${plural(restored, 'row')} restored, ${kept} kept`;
        await recorded(updateLogEntry(db, logKey(input, 'undo'), { counts, outcome }));
        const progress = { counts, estimatedRows: counts.processed, rowsPerSecond: 0 };
        if (counts.processed > 0)
          await recorded(reportProgress(db, input.runId, input.phase, progress, 'restored'));
        return { restored, kept };
      }),
  };
}

/** What is counted at the beginning are rows of one table, but there may be millions of them. */
const COUNTING_MS = 120_000;
const NOTHING = { restored: 0, kept: 0 };

/** Restored rows come as migrated, kept ones as skipped. */
function countsOf({ restored, kept }: { restored: number; kept: number }) {
  return { ...NO_ROWS, processed: restored + kept, migrated: restored, skipped: kept };
}

/** A backfill that is undone before its end never finishes by itself. */
async function closeInterrupted(db: ControlDb, target: Target, input: BackfillInput): Promise<void> {
  const { counts } = (await readCheckpoint(target, input.runId, input.phase)) ?? {};
  if (!counts) return;
  const errorDetails = await listExceptions(target, input.runId, input.phase, { limit: ERRORS_IN_LOG });
  const entry = { counts, errorDetails, outcome: 'interrupted' };
  await recorded(updateLogEntry(db, logKey(input, 'backfill'), entry, { onlyIfOpen: true }));
}
