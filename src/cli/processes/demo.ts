import { freePort } from '../../dev/server-process.ts';
import { formatMs } from '../../domain/duration.ts';
import type { Cli } from '../cli.ts';
import { type DemoOptions, runDemo } from '../demo/demo.ts';
import { EXAMPLES_DATABASE, exampleTransforms } from '../demo/examples.ts';
import { outcomeDocument, outcomeLines, succeeded } from '../demo/outcome.ts';
import { startDevServer } from '../dev-server.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { serverLines } from '../output/server.ts';
import { diedWorker, untilStopped } from '../until-stopped.ts';

export type DemoCommandOptions = DemoOptions & { exit?: boolean; port?: number };

/** Runs the demo on a stack of its own in this process. */
export async function demo(cli: Cli, options: DemoCommandOptions): Promise<ExitCode> {
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
    out.say('Stopping …');
    return EXIT.ok;
  } finally {
    await server.stop();
  }
}
