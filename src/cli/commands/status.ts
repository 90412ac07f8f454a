import type { RunList } from '../../api/schemas/runs.ts';
import { isFinal } from '../../domain/run-state.ts';
import type { ApiClient } from '../api-client.ts';
import type { Cli, Register } from '../cli.ts';
import { CliError, EXIT } from '../exit.ts';
import { getRun } from '../follow-run.ts';
import { moment, span, statusText } from '../output/format.ts';
import { runLines } from '../output/run-view.ts';
import { table } from '../output/table.ts';
import { exitCodeOf, watchRun } from '../watch-run.ts';

export const registerStatus: Register = (program, action) => {
  program
    .command('status')
    .description('show a run, or list the latest runs; exit 1 when the run failed or was rolled back')
    .argument('[run]', "the run's id")
    .option('--watch', 'follow the run to its end; without an id, the one that is under way')
    .action(
      action<[string | undefined], { watch?: boolean }>(async (cli, [runId], { watch }) => {
        const client = cli.client();
        if (watch) return watchRun(cli, client, runId ?? (await onlyActiveRun(client)));
        if (runId === undefined) return listRuns(cli, client);
        const run = await getRun(client, runId);
        cli.out.result(run, () => runLines(cli.out.style, { run }));
        return exitCodeOf(run);
      }),
    );
};

async function listRuns(cli: Cli, client: ApiClient) {
  const answer = await client.get<RunList>('/api/runs?limit=20');
  const { style } = cli.out;
  cli.out.result(answer, () =>
    answer.runs.length === 0
      ? ['No run yet. Start one with `cutover start <plan>`.']
      : table(
          style,
          [
            { title: 'run' },
            { title: 'status' },
            { title: 'phase' },
            { title: 'started' },
            { title: 'took', align: 'right' },
            { title: 'by' },
          ],
          answer.runs.map((run) => [
            run.id,
            statusText(style, run.status),
            run.phase ?? '',
            moment(run.createdAt),
            span(run.createdAt, run.finishedAt),
            run.startedBy,
          ]),
        ),
  );
  return EXIT.ok;
}

async function onlyActiveRun(client: ApiClient): Promise<string> {
  const { runs } = await client.get<RunList>('/api/runs?limit=100');
  const active = runs.filter((run) => !isFinal(run.status));
  const [only] = active;
  if (only && active.length === 1) return only.id;
  throw new CliError(only ? `${active.length} runs are under way` : 'no run is under way', {
    exitCode: only ? EXIT.usage : EXIT.notFound,
    details: active.map((run) => run.id),
    next: only ? 'name the one to watch' : 'start one with `cutover start <plan> --watch`',
  });
}
