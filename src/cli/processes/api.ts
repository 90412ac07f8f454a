import { startApi } from '../../api/main.ts';
import { apiConfig } from '../../config.ts';
import { type Cli, readConfig } from '../cli.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { processLogger } from '../logger.ts';
import { untilStopped } from '../until-stopped.ts';

export async function serveApi(cli: Cli): Promise<ExitCode> {
  const config = readConfig(() => apiConfig(cli.config));
  const api = await startApi(config, { logger: processLogger(config.logLevel) });
  await untilStopped(cli.signal);
  await api.close();
  return EXIT.ok;
}
