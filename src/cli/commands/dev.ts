import { freePort } from '../../dev/server-process.ts';
import type { Cli, Register } from '../cli.ts';
import { EXAMPLES_DATABASE, exampleTransforms, loadExamples, registerExamples } from '../demo/examples.ts';
import { type DevServer, startDevServer } from '../dev-server.ts';
import { EXIT } from '../exit.ts';
import { serverLines } from '../output/server.ts';
import { indent } from '../output/table.ts';
import { untilStopped } from '../until-stopped.ts';
import { numberOption } from './options.ts';

type Options = { port?: number; withExamples?: boolean };

export const registerDev: Register = (program, action) => {
  program
    .command('dev')
    .description('start PostgreSQL, Temporal, the API and a worker here; Ctrl-C stops them')
    .option(
      '--port <number>',
      'port of the API; 8080 unless given, any free one when that is taken',
      numberOption(0, 65_535),
    )
    .option('--with-examples', 'load the example systems into the target "app" and register their plans')
    .action(action<[], Options>(async (cli, _args, options) => dev(cli, options)));
};

async function dev(cli: Cli, { port, withExamples = false }: Options) {
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
    out.say(['', ...serverLines(out.style, server), '', ...nextSteps(server, withExamples), '']);
    await untilStopped(cli.signal, server.stopped);
    out.say('Stopping: the worker lets go at the next batch border, then the servers end.');
    return EXIT.ok;
  } finally {
    await server.stop();
  }
}

function nextSteps(server: DevServer, withExamples: boolean): string[] {
  const plan = withExamples ? 'campaigns-v2' : '<plan>';
  return [
    'Next, in another terminal of this directory:',
    ...indent([
      ...(withExamples ? [] : [`psql "${server.appUrl}"                    the database of target "app"`]),
      ...(withExamples ? [] : ['npm run cutover -- plan register <file>']),
      `npm run cutover -- dry-run ${plan}`,
      `npm run cutover -- start ${plan} --time-scale 36000 --watch`,
      'npm run cutover -- --as approver approve <run>',
    ]),
  ];
}
