import type { CommandRequest, RunDetail, ThrottleRequest } from '../../api/schemas/runs.ts';
import { MOST_CONNECTIONS } from '../../domain/parallelism.ts';
import type { RunCommand } from '../../domain/run-state.ts';
import type { Cli, Register } from '../cli.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { statusText } from '../output/format.ts';
import { waitsFor } from '../output/run-view.ts';
import { numberOption } from './options.ts';
import { showRollbackPreview } from './rollback-preview.ts';

const DESCRIPTIONS: Record<RunCommand, string> = {
  pause: 'stop at the next batch border; the clocks of holds stop too',
  resume: 'go on where a paused run stopped; try a failed phase again',
  throttle: 'work with more or fewer connections on the backfill, verification or undo under way',
  advance: 'end the present hold of a rollout stage or soak early',
  approve: 'approve what the run waits for',
  reject: 'refuse what the run waits for; everything is undone',
  rollback: 'undo the run: flag to 0, rows restored, schema down, in reverse order',
};

type Preview = { preview?: boolean; count?: boolean };

export const registerRunCommands: Register = (program, action) => {
  for (const [name, description] of Object.entries(DESCRIPTIONS)) {
    const command = program
      .command(name)
      .description(description)
      .argument('<run>', "the run's id")
      .option('--reason <text>', 'kept in the audit trail');
    if (name === 'throttle') {
      const parse = numberOption(1, MOST_CONNECTIONS);
      command.requiredOption('--connections <number>', 'on how many it works from now on', parse);
    }
    if (name === 'rollback') {
      command
        .option('--preview', 'only show what it would do, step by step, and how many rows that concerns')
        .option('--count', 'with --preview: compare every row to tell which would be kept, not a sample');
    }
    command.action(
      action<[string], (CommandRequest | ThrottleRequest) & Preview>((cli, [runId], options) => {
        const { preview, count, ...request } = options;
        if (preview) return showRollbackPreview(cli, runId, count === true);
        return giveCommand(cli, runId, name, request);
      }),
    );
  }
};

async function giveCommand(
  cli: Cli,
  runId: string,
  command: string,
  request: CommandRequest | ThrottleRequest,
): Promise<ExitCode> {
  const path = `/api/runs/${encodeURIComponent(runId)}/${command}`;
  const run = await cli.client().post<RunDetail>(path, request);
  const { style } = cli.out;
  cli.out.result(run, () => {
    const accepted = `${style.green('✓')} ${command} was accepted`;
    // The phase has yet to act on these: until then the run still says that it waits for them.
    if (command === 'approve' || command === 'advance') return [`${accepted} by ${runId}`];
    return [
      `${accepted}; ${runId} is ${statusText(style, run.status)}`,
      ...(run.waitingFor ? [waitsFor(run.waitingFor)] : []),
    ];
  });
  return EXIT.ok;
}
