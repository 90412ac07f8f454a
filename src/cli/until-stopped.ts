import { once } from 'node:events';
import { CliError, EXIT } from './exit.ts';

/**
 * Resolves when the user wants to stop.
 * @throws when the worker ends before, with the reason.
 */
export async function untilStopped(signal: AbortSignal | undefined, worker?: Promise<void>): Promise<void> {
  const asked = signal ? (signal.aborted ? Promise.resolve() : once(signal, 'abort')) : new Promise(() => {});
  await Promise.race(worker ? [asked, diedWorker(worker)] : [asked]);
}

/** Never resolves; rejects when the worker ends though nobody stopped it. */
export async function diedWorker(worker: Promise<void>): Promise<never> {
  const cause = await worker.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  throw new CliError(`the worker ended by itself${why}`, {
    exitCode: EXIT.failed,
    next: 'see its log, then start again; runs go on where they stopped',
    cause,
  });
}
