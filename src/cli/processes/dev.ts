import { freePort } from '../../dev/server-process.ts';
import type { Cli } from '../cli.ts';
import { EXAMPLES_DATABASE, exampleTransforms, loadExamples, registerExamples } from '../demo/examples.ts';
import { startDevServer } from '../dev-server.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { serverLines } from '../output/server.ts';
import { indent } from '../output/table.ts';
import { untilStopped } from '../until-stopped.ts';

export type DevOptions = { port?: number; withExamples?: boolean };

/** Runs the whole stack in this process until it is stopped. */
export async function dev(cli: Cli, { port, withExamples = false }: DevOptions): Promise<ExitCode> {
  const { out } = cli;
  const server = await startDevServer({
    config: cli.config,
    dir: cli.dir,
    port: port ?? (await freePort(cli.config.port)),
    appDatabase: withExamples ? EXAMPLES_DATABASE : 'app',
    transforms: withExamples ? exampleTransforms() : [],
    say: (line) => out.say(line),
    showWarnings: true,
  });
  try {
    if (withExamples) {
      await loadExamples(server.appUrl);
      await registerExamples(server.client('admin'));
    }
    if (out.json)
      out.jsonLine({ apiUrl: server.apiUrl, webUiUrl: server.webUiUrl ?? null, appUrl: server.appUrl });
    out.say(['', ...serverLines(out.style, server), '', ...nextSteps(withExamples, cli.options.dir), '']);
    await untilStopped(cli.signal, server.stopped);
    out.say('Stopping …');
    return EXIT.ok;
  } finally {
    await server.stop();
  }
}

/** @param dir is named in the commands when it is not the one that they would look in. */
function nextSteps(withExamples: boolean, dir: string | undefined): string[] {
  const cutover = `npm run cutover --${dir === undefined ? '' : ` --dir ${dir}`}`;
  const plan = withExamples ? 'campaigns-v2' : '<plan>';
  return [
    'Next, in another terminal:',
    ...indent([
      ...(withExamples ? [] : [`${cutover} plan register <file>`]),
      `${cutover} dry-run ${plan}`,
      `${cutover} start ${plan} --time-scale 36000 --watch`,
      `${cutover} --as approver approve <run>`,
    ]),
  ];
}
