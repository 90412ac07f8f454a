import {
  ApplicationFailure,
  defineQuery,
  defineSignal,
  defineUpdate,
  setHandler,
} from '@temporalio/workflow';
import { type CommandInput, DRIFT_SIGNAL, type DriftSignal, STATE_QUERY } from '../contracts/commands.ts';
import { FAILURE } from '../contracts/errors.ts';
import type { RunState } from '../contracts/runs.ts';
import { type Actor, approvalRefusal } from '../domain/approval.ts';
import { connectionsRefusal } from '../domain/parallelism.ts';
import { plural } from '../domain/plural.ts';
import { isRole } from '../domain/role.ts';
import { RUN_COMMANDS, type RunCommand, refusal } from '../domain/run-state.ts';
import type { Run } from './run.ts';

export const stateQuery = defineQuery<RunState>(STATE_QUERY);

/** Whoever can signal from the Web UI or Temporal's CLI administers the server. */
export const FROM_TEMPORAL: Actor = { name: 'temporal', role: 'admin' };

/**
 * Every command exists twice: as an update, whose caller hears at once whether it was accepted, and as a signal of the same
 * name, for the Web UI and callers that don't wait. Call this before the workflow's first await.
 */
export function handleCommands(run: Run): void {
  setHandler(stateQuery, () => run.state());
  setHandler(defineSignal<[DriftSignal]>(DRIFT_SIGNAL), async ({ phase, reason }) => {
    await run.holdForDrift(`sync "${phase}": ${reason}; resume has it put right and goes on`);
    await run.recorded();
  });
  for (const command of RUN_COMMANDS) {
    setHandler(
      defineUpdate<RunState, [CommandInput?]>(command),
      async (given?: CommandInput) => {
        await carryOut(run, command, readInput(command, given));
        return run.state();
      },
      { validator: (given?: CommandInput) => refuseUnlessAllowed(run, command, readInput(command, given)) },
    );
    setHandler(defineSignal<[CommandInput?]>(command), async (given?: CommandInput) => {
      const input = readInput(command, given);
      const why = whyRefused(run, command, input);
      if (why === undefined) return carryOut(run, command, input);
      run.recordNote({ type: 'command', message: `${command} by ${input.actor.name} refused: ${why}` });
      await run.recorded();
    });
  }
}

/** People at the Temporal server may send anything, and a signal's handler that throws would block the run for ever. */
function readInput(command: RunCommand, given: unknown): CommandInput {
  const { actor, reason, connections } = (given ?? {}) as {
    actor?: Partial<Actor> | null;
    reason?: unknown;
    connections?: unknown;
  };
  const { name, role } = actor ?? {};
  return {
    actor: typeof name === 'string' && isRole(role) ? { name, role } : FROM_TEMPORAL,
    reason: typeof reason === 'string' ? reason : undefined,
    connections: command === 'throttle' && typeof connections === 'number' ? connections : undefined,
  };
}

function refuseUnlessAllowed(run: Run, command: RunCommand, input: CommandInput): void {
  const why = whyRefused(run, command, input);
  if (why === undefined) return;
  throw ApplicationFailure.create({
    type: FAILURE.commandRefused,
    message: why,
    nonRetryable: true,
    details: [{ state: run.status, role: input.actor.role }],
  });
}

function whyRefused(run: Run, command: RunCommand, { actor, connections }: CommandInput): string | undefined {
  const why = refusal(command, run.state());
  if (why !== undefined) return why;
  if (command === 'throttle') return connectionsRefusal(connections);
  if (run.phase?.kind !== 'approval' || (command !== 'approve' && command !== 'reject')) return undefined;
  const approvedBy = command === 'approve' ? run.approvedBy : [];
  return approvalRefusal(run.phase, actor, run.input.startedBy.name, approvedBy);
}

async function carryOut(run: Run, command: RunCommand, input: CommandInput): Promise<void> {
  const { actor, reason, connections } = input;
  const because = reason ? `: ${reason}` : '';
  const to = connections === undefined ? '' : ` to ${plural(connections, 'connection')}`;
  const message = `${command}${to} by ${actor.name}${because}`;
  run.recordNote({
    type: 'command',
    message,
    data: { command, actor: actor.name, role: actor.role, reason, connections },
  });
  switch (command) {
    case 'pause':
    case 'resume':
      run.apply(command, message);
      await run.commands.forward({ kind: command });
      await run.syncs.forward({ kind: command });
      if (command === 'resume') await run.holdIfDrifted();
      break;
    case 'throttle':
      if (run.phase && connections !== undefined) {
        run.connections[run.phase.name] = connections;
        await run.commands.forward({ kind: 'throttle', connections });
      }
      break;
    case 'advance':
      await run.commands.forward({ kind: 'advance', by: actor.name });
      break;
    case 'approve':
      run.approvedBy.push(actor.name);
      await run.commands.forward({ kind: 'approve', by: actor.name });
      break;
    case 'reject':
    case 'rollback':
      run.beginUndo(command, message, actor);
      break;
  }
  await run.recorded();
}
