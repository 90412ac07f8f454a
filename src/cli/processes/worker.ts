import { workerConfig } from '../../config.ts';
import { startWorker } from '../../worker/main.ts';
import { type Cli, reachingServers, readConfig } from '../cli.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { processLogger } from '../logger.ts';
import { untilStopped } from '../until-stopped.ts';

export async function runWorker(cli: Cli): Promise<ExitCode> {
  const config = readConfig(() => workerConfig(cli.config));
  const logger = processLogger(config.logLevel);
  const worker = await reachingServers(() => startWorker(config, { logger }));
  await untilStopped(cli.signal, worker.stopped);
  await worker.close();
  return EXIT.ok;
}
