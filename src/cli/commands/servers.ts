import type { Register } from '../cli.ts';
import type { DemoCommandOptions } from '../processes/demo.ts';
import type { DevOptions } from '../processes/dev.ts';
import { numberOption } from './options.ts';

/*
 * Commands that run servers. What they are made of is imported when they run, so that the other commands start at once.
 */

/** Ten hours in a second: the stages and the soak of the example plans, seventeen days, take less than a minute. */
const DEMO_TIME_SCALE = 36_000;

const PORT = [
  '--port <number>',
  'port of the API; 8080 unless given, any free one when that is taken',
] as const;
const port = numberOption(0, 65_535);

export const registerDemo: Register = (program, action) => {
  program
    .command('demo')
    .description('run two example systems from schema change to cleanup, in about a minute')
    .option('--exit', 'end afterwards; exit 0 only if both runs completed and passed their validation')
    .option(
      '--fail-at <percentage>',
      'let the new behaviour fail from this rollout stage on',
      numberOption(0.001, 100, false),
    )
    .option(
      '--time-scale <factor>',
      'how many times faster than real time holds are',
      numberOption(1, 1e6, false),
      DEMO_TIME_SCALE,
    )
    .option(...PORT, port)
    .action(
      action<[], DemoCommandOptions>(async (cli, _args, options) => {
        const { demo } = await import('../processes/demo.ts');
        return demo(cli, options);
      }),
    );
};

export const registerDev: Register = (program, action) => {
  program
    .command('dev')
    .description('start PostgreSQL, Temporal, the API and a worker here; Ctrl-C stops them')
    .option(...PORT, port)
    .option('--with-examples', 'load the example systems into the target "app" and register their plans')
    .action(
      action<[], DevOptions>(async (cli, _args, options) => {
        const { dev } = await import('../processes/dev.ts');
        return dev(cli, options);
      }),
    );
};

export const registerApi: Register = (program, action) => {
  program
    .command('api')
    .description('serve the HTTP API, configured by the environment; SIGTERM lets requests end first')
    .action(
      action<[]>(async (cli) => {
        const { serveApi } = await import('../processes/api.ts');
        return serveApi(cli);
      }),
    );
};

export const registerWorker: Register = (program, action) => {
  program
    .command('worker')
    .description('run a worker, configured by the environment; SIGTERM lets it reach a batch border first')
    .action(
      action<[]>(async (cli) => {
        const { runWorker } = await import('../processes/worker.ts');
        return runWorker(cli);
      }),
    );
};
