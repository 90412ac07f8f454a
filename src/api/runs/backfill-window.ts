import { findPhase, progressBefore, type RunPhase } from '../../db/run-phases.ts';
import { NO_ROWS, type RowCounts } from '../../domain/counts.ts';
import type { RunStatus } from '../../domain/run-state.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { ApiProblem } from '../errors/problem.ts';
import { requireRun } from './run-detail.ts';
import { watchRun } from './watch.ts';

const POLL_MS = 1_000;

/** What a backfill did from one offset on. */
export type BackfillWindow = {
  status: RunStatus;
  counts: RowCounts;
  nextOffset: number;
  /** The backfill is still at work. */
  hasMore: boolean;
};

/**
 * Waits until a run's backfill has processed the rows up to an offset, or is done, or the time is over.
 * @returns what it did since `from`, which is an earlier window's `nextOffset`.
 * @throws ApiProblem when the run ended before, or does not go on without a person.
 */
export async function awaitBackfill(
  deps: ApiDependencies,
  runId: string,
  phase: string,
  window: { from: number; upTo: number; waitMs: number },
): Promise<BackfillWindow> {
  const deadline = Date.now() + window.waitMs;
  const watch = watchRun(deps.wakeups, runId);
  try {
    for (;;) {
      const run = await requireRun(deps, runId);
      const row = await findPhase(deps.db, runId, phase);
      const now = row?.progress?.counts ?? NO_ROWS;
      const done = row?.state === 'completed';
      if (!done) refuseUnlessAtWork(runId, run.status, run.reason, row);
      const left = deadline - Date.now();
      if (done || now.processed >= window.upTo || left <= 0) {
        const before = await progressBefore(deps.db, runId, phase, window.from);
        return {
          status: run.status,
          counts: difference(now, before?.counts ?? NO_ROWS),
          nextOffset: Math.max(now.processed, window.from),
          hasMore: !done,
        };
      }
      await watch.news(Math.min(POLL_MS, left));
    }
  } finally {
    watch.stop();
  }
}

/** A caller that asks again and again would do so for ever, were it not told. */
function refuseUnlessAtWork(
  runId: string,
  status: RunStatus,
  reason: string | null,
  phase: RunPhase | undefined,
): void {
  const why = reason ? `: ${reason}` : '';
  switch (status) {
    case 'pending':
    case 'running':
      return;
    case 'paused':
    case 'held':
    case 'awaiting_approval':
      throw new ApiProblem(
        'run-waiting',
        `Run ${runId} is ${status.replaceAll('_', ' ')}${why}. Decide at /api/runs/${runId}, then call again.`,
        { runId, state: status },
      );
    default:
      throw new ApiProblem(
        'run-ended',
        `Run ${runId} is ${status.replaceAll('_', ' ')}${why}; its backfill is ${phase?.state ?? 'unknown'}. See /api/runs/${runId}.`,
        { runId, state: status },
      );
  }
}

function difference(now: RowCounts, before: RowCounts): RowCounts {
  const since = (part: keyof RowCounts) => Math.max(now[part] - before[part], 0);
  return {
    processed: since('processed'),
    migrated: since('migrated'),
    skipped: since('skipped'),
    ambiguous: since('ambiguous'),
    failed: since('failed'),
  };
}
