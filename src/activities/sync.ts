import type { SyncInput, WatchSyncInput, WatchSyncResult } from '../contracts/activities.ts';
import { recordEvent } from '../db/run-events.ts';
import { finishSync, removeSync } from '../engine/sync/finish.ts';
import { installSync } from '../engine/sync/install.ts';
import type { SyncJob } from '../engine/sync/job.ts';
import { tendSync } from '../engine/sync/tend.ts';
import type { LockRetry } from '../targets/postgres/lock-retry.ts';
import { copyExceptions } from './copy-exceptions.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';

/** One activity's share of looking after a sync; history grows with these, not with what is captured. */
const SLICE_MS = 5 * 60_000;

export function syncActivities(dependencies: Dependencies) {
  return {
    installSync: (input: SyncInput): Promise<void> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        await installSync(target, jobOf(dependencies, input), { signal, onRetry: tell(dependencies, input) });
      }),

    watchSync: (input: WatchSyncInput): Promise<WatchSyncResult> =>
      whileHeartbeating(async (signal) => {
        const { intervalMs, paused, repair, known } = input;
        const { drifts, repaired } = await tendSync(
          targetNamed(dependencies, input.target),
          jobOf(dependencies, input),
          {
            ...{ signal, untilMs: SLICE_MS, intervalMs, paused, repair, known },
            onRetry: tell(dependencies, input),
            onSetAside: () => copySetAside(dependencies, input),
          },
        );
        return { drifts, repaired };
      }),

    finishSync: (input: SyncInput): Promise<{ done: boolean; keys: number; failed: number }> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        const finished = await finishSync(target, jobOf(dependencies, input), {
          signal,
          untilMs: SLICE_MS,
          onRetry: tell(dependencies, input),
        });
        if (finished.failed > 0) await copySetAside(dependencies, input);
        return finished;
      }),

    removeSync: (input: SyncInput): Promise<boolean> =>
      whileHeartbeating((signal) =>
        removeSync(targetNamed(dependencies, input.target), jobOf(dependencies, input), {
          signal,
          onRetry: tell(dependencies, input),
        }),
      ),
  };
}

function jobOf({ transforms }: Dependencies, { runId, sync, backfill }: SyncInput): SyncJob {
  return { runId, phase: sync, backfill, transforms };
}

function copySetAside({ db, targets }: Dependencies, { runId, target, backfill }: SyncInput): Promise<void> {
  const found = targets.get(target);
  return found ? copyExceptions(db, found, { runId, phase: backfill.name }) : Promise.resolve();
}

/** Watchers can do without it; the work itself must not stop for it. */
function tell({ db }: Dependencies, { runId, phase, backfill }: SyncInput): (retry: LockRetry) => void {
  return ({ attempt, attempts, reason }) => {
    const message = `waits for the lock on ${backfill.table} (attempt ${attempt} of ${attempts}): ${reason}`;
    recordEvent(db, { runId, type: 'note', phase, message }).catch(() => {});
  };
}
