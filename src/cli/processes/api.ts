import { startApi } from '../../api/main.ts';
import { apiConfig } from '../../config.ts';
import { type Cli, reachingServers, readConfig } from '../cli.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { processLogger } from '../logger.ts';
import { untilStopped } from '../until-stopped.ts';

export async function serveApi(cli: Cli): Promise<ExitCode> {
  const config = readConfig(() => apiConfig(cli.config));
  const logger = processLogger(config.logLevel);
  const api = await reachingServers(() => startApi(config, { logger }));
  await untilStopped(cli.signal);
  await api.close();
  return EXIT.ok;
}
