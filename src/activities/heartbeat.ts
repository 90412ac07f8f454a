import { Context } from '@temporalio/activity';

/** Well below the heartbeat timeout, so that a busy moment does not look like a dead worker. */
const HEARTBEAT_MS = 1_000;

/**
 * Heartbeats while the work goes on, which is also how an activity hears that it was cancelled.
 * @param work gets the signal of that cancellation.
 */
export async function whileHeartbeating<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat(), HEARTBEAT_MS);
  try {
    return await work(context.cancellationSignal);
  } finally {
    clearInterval(timer);
  }
}
