import type { CommandRequest, RunDetail } from '../../api/schemas/runs.ts';
import type { RunCommand } from '../../domain/run-state.ts';
import type { Register } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { statusText } from '../output/format.ts';

const DESCRIPTIONS: Record<RunCommand, string> = {
  pause: 'stop at the next batch border; the clocks of holds stop too',
  resume: 'go on where a paused run stopped; try a failed phase again',
  advance: 'end the present hold of a rollout stage or soak early',
  approve: 'approve what the run waits for',
  reject: 'refuse what the run waits for; everything is undone',
  rollback: 'undo the run: flag to 0, rows restored, schema down, in reverse order',
};

export const registerRunCommands: Register = (program, action) => {
  for (const [command, description] of Object.entries(DESCRIPTIONS)) {
    program
      .command(command)
      .description(description)
      .argument('<run>', "the run's id")
      .option('--reason <text>', 'kept in the audit trail')
      .action(
        action<[string], CommandRequest>(async (cli, [runId], { reason }) => {
          const client = cli.client();
          const path = `/api/runs/${encodeURIComponent(runId)}/${command}`;
          const run = await client.post<RunDetail>(path, { reason });
          const { style } = cli.out;
          cli.out.result(run, () => [
            `${style.green('✓')} ${command} was accepted; ${runId} is ${statusText(style, run.status)}`,
            ...(run.waitingFor ? [run.waitingFor] : []),
          ]);
          return EXIT.ok;
        }),
      );
  }
};
