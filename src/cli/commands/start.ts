import type { RunDetail, StartRunRequest } from '../../api/schemas/runs.ts';
import type { Register } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { statusText } from '../output/format.ts';
import { facts } from '../output/table.ts';
import { watchRun } from '../watch-run.ts';
import { numberOption } from './options.ts';

type Options = {
  version?: number;
  timeScale?: number;
  batchSize?: number;
  idempotencyKey?: string;
  watch?: boolean;
};

export const registerStart: Register = (program, action) => {
  program
    .command('start')
    .description('start a run of a registered plan')
    .argument('<plan>', 'name of a registered plan')
    .option('--version <number>', 'version of the plan; the latest unless given', numberOption(1, 1e9))
    .option(
      '--time-scale <factor>',
      'how many times faster than real time holds are',
      numberOption(1, 1e6, false),
    )
    .option('--batch-size <rows>', 'replaces the batch size of every backfill', numberOption(1, 100_000))
    .option('--idempotency-key <key>', 'the same key again returns the run that it started')
    .option('--watch', 'follow the run to its end; exit 0 only if it completes')
    .action(
      action<[string], Options>(async (cli, [plan], options) => {
        const { watch, idempotencyKey, ...rest } = options;
        const client = cli.client();
        const request: StartRunRequest = { plan, ...rest };
        const headers = idempotencyKey === undefined ? undefined : { 'idempotency-key': idempotencyKey };
        const run = await client.post<RunDetail>('/api/runs', request, { ...(headers && { headers }) });
        if (watch) return watchRun(cli, client, run.id);
        const { style } = cli.out;
        cli.out.result(run, () => [
          ...facts(style, [
            ['run', style.bold(run.id)],
            ['plan', `${run.plan}, version ${run.version}, on ${run.target}`],
            ['status', statusText(style, run.status)],
            ['Web UI', run.links.webUi ?? undefined],
          ]),
          `${style.dim('next:')} cutover status ${run.id} --watch`,
        ]);
        return EXIT.ok;
      }),
    );
};
