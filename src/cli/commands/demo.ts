import { freePort } from '../../dev/server-process.ts';
import { formatMs } from '../../domain/duration.ts';
import type { Cli, Register } from '../cli.ts';
import { type DemoOptions, runDemo } from '../demo/demo.ts';
import { EXAMPLES_DATABASE, exampleTransforms } from '../demo/examples.ts';
import { outcomeDocument, outcomeLines, succeeded } from '../demo/outcome.ts';
import { startDevServer } from '../dev-server.ts';
import { EXIT } from '../exit.ts';
import { serverLines } from '../output/server.ts';
import { diedWorker, untilStopped } from '../until-stopped.ts';
import { numberOption } from './options.ts';

/** Ten hours a second: the three stages and the soak of the example plans, 21 days, take less than a minute. */
const TIME_SCALE = 36_000;

type Options = DemoOptions & { exit?: boolean; port?: number };

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
      TIME_SCALE,
    )
    .option(
      '--port <number>',
      'port of the API; 8080 unless given, any free one when that is taken',
      numberOption(0, 65_535),
    )
    .action(action<[], Options>(async (cli, _args, options) => demo(cli, options)));
};

async function demo(cli: Cli, options: Options) {
  const { out } = cli;
  const began = Date.now();
  const server = await startDevServer({
    config: cli.config,
    dir: cli.dir,
    port: options.port ?? (await freePort(cli.config.port)),
    appDatabase: EXAMPLES_DATABASE,
    transforms: exampleTransforms(),
    say: (line) => out.say(line),
    showWarnings: false,
  });
  try {
    out.say(['', ...serverLines(out.style, server), '']);
    const outcomes = await Promise.race([runDemo(cli, server, options), diedWorker(server.stopped)]);
    const passed = outcomes.every(succeeded);
    out.result(outcomes.map(outcomeDocument), () => ['', ...outcomeLines(out.style, outcomes), '']);
    out.say(out.style.dim(`All of it took ${formatMs(Date.now() - began)}.`));
    if (options.exit) return passed ? EXIT.ok : EXIT.failed;
    out.say(['', ...serverLines(out.style, server), '', 'It stays up to look around. Ctrl-C stops it.']);
    await untilStopped(cli.signal, server.stopped);
    return EXIT.ok;
  } finally {
    await server.stop();
  }
}
