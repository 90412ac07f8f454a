import type { CommandRequest, RunDetail } from '../../api/schemas/runs.ts';
import type { Register } from '../cli.ts';
import { EXIT } from '../exit.ts';

export const registerForget: Register = (program, action) => {
  program
    .command('forget')
    .description(
      'remove what the target holds of a run that has ended; none of its rows can be restored then',
    )
    .argument('<run>', "the run's id")
    .option('--reason <text>', 'kept in the audit trail')
    .action(
      action<[string], CommandRequest>(async (cli, [runId], { reason }) => {
        const path = `/api/runs/${encodeURIComponent(runId)}/forget`;
        const run = await cli.client().post<RunDetail>(path, { reason });
        cli.out.result(run, () => [
          `${cli.out.style.green('✓')} nothing is left of ${runId} in its target; its report and events stay`,
        ]);
        return EXIT.ok;
      }),
    );
};
