import type { EventWakeups } from '../../db/run-events.ts';

export type Watch = {
  /** Resolves when the run may have news since the last call, after the time, or when the signal aborts. */
  news(withinMs: number, signal?: AbortSignal): Promise<void>;
  stop(): void;
};

/**
 * Watches for news of a run. Start it before reading, so that what happens between reading and waiting is not missed; a
 * lost notification costs no more than the time given to `news`.
 */
export function watchRun(wakeups: EventWakeups, runId: string): Watch {
  let fresh = false;
  let wake = () => {};
  const stop = wakeups.subscribe(runId, () => {
    fresh = true;
    wake();
  });
  return {
    stop,
    async news(withinMs, signal) {
      if (!fresh && !signal?.aborted) {
        await new Promise<void>((resolve) => {
          const done = () => {
            clearTimeout(timer);
            signal?.removeEventListener('abort', done);
            wake = () => {};
            resolve();
          };
          const timer = setTimeout(done, withinMs);
          signal?.addEventListener('abort', done);
          wake = done;
        });
      }
      fresh = false;
    },
  };
}
