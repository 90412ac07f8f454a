import { startApi } from '../../api/main.ts';
import { apiConfig } from '../../config.ts';
import { type Register, readConfig } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { processLogger } from '../logger.ts';
import { untilStopped } from '../until-stopped.ts';

export const registerApi: Register = (program, action) => {
  program
    .command('api')
    .description('serve the HTTP API, configured by the environment; SIGTERM lets requests end first')
    .action(
      action<[]>(async (cli) => {
        const config = readConfig(() => apiConfig(cli.config));
        const api = await startApi(config, { logger: processLogger(config.logLevel) });
        await untilStopped(cli.signal);
        await api.close();
        return EXIT.ok;
      }),
    );
};
