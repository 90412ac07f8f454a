import { setTimeout as delay } from 'node:timers/promises';
import { type Client, Connection, type ConnectionOptions, isRetryableError } from '@temporalio/client';
import { causes, grpcStatus } from './errors/recognize.ts';
import { temporalProblem } from './errors/temporal-problem.ts';

/** Longest wait for an answer to a question that the Temporal server answers at once. */
const ANSWER_MS = 3_000;
const LONGEST_PAUSE_MS = 1_000;

/**
 * A connection that is made when it is first used. It leaves trying again to `callTemporal`: the client's own retries outlive
 * both their deadline and the connection, and throw where nobody can catch it.
 */
export function openTemporal(options: Pick<ConnectionOptions, 'address' | 'tls' | 'apiKey'>): Connection {
  return Connection.lazy({ ...options, interceptors: [] });
}

/**
 * Calls the Temporal server, again while that may help and the time is not over. What is called must be safe to repeat.
 * @throws the client's last error.
 */
export async function callTemporal<T>(
  temporal: Client,
  withinMs: number,
  call: () => Promise<T>,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (let pause = 100; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await temporal.withDeadline(deadline, call);
    } catch (error) {
      const status = causes(error).map(grpcStatus).find(Boolean);
      if (!status || !isRetryableError(status) || Date.now() + pause >= deadline) throw error;
      await delay(pause);
    }
  }
}

/**
 * Makes sure that the Temporal server answers and has our namespace, before something is written or sent that it must hear of.
 * @param consequence what follows for the caller's request when it doesn't: `nothing was started`.
 * @throws ApiProblem when it doesn't.
 */
export async function assertTemporalAnswers(temporal: Client, consequence: string): Promise<void> {
  const { namespace } = temporal.options;
  try {
    await callTemporal(temporal, ANSWER_MS, () => temporal.workflowService.describeNamespace({ namespace }));
  } catch (error) {
    throw temporalProblem(error, consequence);
  }
}
