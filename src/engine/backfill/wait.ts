import { setTimeout } from 'node:timers/promises';

/** Waits for so many milliseconds. @throws the signal's reason as soon as it aborts. */
export async function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await setTimeout(ms, undefined, { signal }).catch(() => signal?.throwIfAborted());
}
