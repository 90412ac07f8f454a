import { DefaultLogger, type LogEntry, Runtime } from '@temporalio/worker';
import type { Logger } from 'pino';

let installed = false;

/**
 * Sets Temporal's native runtime up, once per process. It handles no signals: whoever started the process decides in which
 * order API, workers and pools end.
 */
export function installRuntime(logger: Logger): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('INFO', (entry) => forward(logger, entry)),
    telemetryOptions: { logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } } },
  });
}

function forward(logger: Logger, { level, message, meta }: LogEntry): void {
  const { error, ...fields } = (meta ?? {}) as { error?: unknown };
  const line = error === undefined ? fields : { ...fields, err: error };
  // A target's queue has activities only, on purpose.
  if (message.startsWith('No workflows registered')) return;
  if (level === 'ERROR') logger.error(line, message);
  else if (level === 'WARN') logger.warn(line, message);
  // Temporal's INFO tells of the worker's inner life.
  else logger.debug(line, message);
}
