import { workerConfig } from '../../config.ts';
import { startWorker } from '../../worker/main.ts';
import { type Register, readConfig } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { processLogger } from '../logger.ts';
import { untilStopped } from '../until-stopped.ts';

export const registerWorker: Register = (program, action) => {
  program
    .command('worker')
    .description('run a worker, configured by the environment; SIGTERM lets it reach a batch border first')
    .action(
      action<[]>(async (cli) => {
        const config = readConfig(() => workerConfig(cli.config));
        const worker = await startWorker(config, { logger: processLogger(config.logLevel) });
        await untilStopped(cli.signal, worker.stopped);
        await worker.close();
        return EXIT.ok;
      }),
    );
};
