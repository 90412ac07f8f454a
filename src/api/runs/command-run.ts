import { randomUUID } from 'node:crypto';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';
import type { CommandInput } from '../../contracts/commands.ts';
import { FAILURE } from '../../contracts/errors.ts';
import { audit } from '../../db/audit.ts';
import { findRun, type Run } from '../../db/runs.ts';
import { type Actor, isAmongApprovers } from '../../domain/approval.ts';
import { roleAtLeast } from '../../domain/role.ts';
import { isFinal, type RunCommand, refusal } from '../../domain/run-state.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { ApiProblem, unknownRun } from '../errors/problem.ts';
import { isTemporalFault } from '../errors/recognize.ts';
import { assertTemporalAnswers, callTemporal } from '../temporal.ts';
import { planOf, requireRun } from './run-detail.ts';

/** Longest wait for a worker to say whether the run takes the command. */
const CONFIRM_MS = 10_000;

export type CommandRequest = {
  runId: string;
  command: RunCommand;
  reason?: string | undefined;
  /** Of a throttle. */
  connections?: number | undefined;
  idempotencyKey?: string | undefined;
};

/**
 * Gives a run a command and waits until its workflow has taken it. Audited, whether it was taken or not.
 * @returns the run as the command left it.
 * @throws ApiProblem when the run doesn't take it in its present state, or nobody answers.
 */
export async function commandRun(deps: ApiDependencies, actor: Actor, request: CommandRequest): Promise<Run> {
  const { runId, command, reason, connections } = request;
  const record = (accepted: boolean, why?: string) =>
    audit(deps.db, actor, {
      action: command,
      subject: runId,
      accepted,
      details: { reason, connections, why },
    });
  try {
    const run = await findRun(deps.db, runId);
    if (command === 'approve' || command === 'reject') await assertMayDecide(deps, run, actor);
    if (!run) throw unknownRun(runId);
    if (isFinal(run.status)) throw refused(run, command, actor);
    await assertTemporalAnswers(deps.temporal, 'the command was not given');
    await update(deps, run, actor, request);
  } catch (error) {
    if (error instanceof ApiProblem) await record(false, error.message);
    throw error;
  }
  await record(true);
  return requireRun(deps, runId);
}

/** Approvers may decide approvals, and whom the plan names; the workflow checks the plan's other conditions. */
async function assertMayDecide(deps: ApiDependencies, run: Run | undefined, actor: Actor): Promise<void> {
  if (roleAtLeast(actor.role, 'approver')) return;
  const plan = run && (await planOf(deps, run));
  const phase = plan?.document.phases.find(({ name }) => name === run?.phase);
  if (phase?.kind === 'approval' && isAmongApprovers(phase, actor)) return;
  throw new ApiProblem(
    'forbidden',
    `${actor.name} has role ${actor.role}; this needs approver, or to be named by the plan's approval phase.`,
    { role: actor.role, required: 'approver' },
  );
}

async function update(
  { db, temporal }: ApiDependencies,
  run: Run,
  actor: Actor,
  { command, reason, connections, idempotencyKey }: CommandRequest,
): Promise<void> {
  const input: CommandInput = { actor, reason, connections };
  // A key is unique per command, or resuming with the key of the pause would be taken for that pause. With an id, Temporal
  // takes a call that is repeated for the same one.
  const updateId = `${command}:${idempotencyKey ?? randomUUID()}`;
  try {
    await callTemporal(temporal, CONFIRM_MS, () =>
      temporal.workflow.getHandle(run.id).executeUpdate(command, { args: [input], updateId }),
    );
  } catch (error) {
    if (endedMeanwhile(error)) throw refused((await findRun(db, run.id)) ?? run, command, actor, error);
    const why = refusedByWorkflow(error);
    if (why)
      throw new ApiProblem(
        'command-refused',
        why.message,
        { state: why.state ?? run.status, role: actor.role, runId: run.id },
        { cause: error },
      );
    if (isTemporalFault(error)) throw notConfirmed(run, command, error);
    throw error;
  }
}

/** The workflow had ended before it could take the command, or ended while it did. */
function endedMeanwhile(error: unknown): boolean {
  return (
    error instanceof WorkflowNotFoundError ||
    (error instanceof WorkflowUpdateFailedError &&
      error.cause instanceof ApplicationFailure &&
      error.cause.type === 'AcceptedUpdateCompletedWorkflow')
  );
}

function refusedByWorkflow(error: unknown): { message: string; state?: string } | undefined {
  if (!(error instanceof WorkflowUpdateFailedError)) return undefined;
  const { cause } = error;
  if (!(cause instanceof ApplicationFailure) || cause.type !== FAILURE.commandRefused) return undefined;
  const [details] = (cause.details ?? []) as { state?: string }[];
  return { message: cause.message, ...(details?.state ? { state: details.state } : {}) };
}

function refused(run: Run, command: RunCommand, actor: Actor, cause?: unknown): ApiProblem {
  const why =
    refusal(command, { status: run.status }) ??
    "the run's workflow has ended, and its final state is about to be recorded; look again in a moment";
  return new ApiProblem(
    'command-refused',
    why,
    { state: run.status, role: actor.role, runId: run.id },
    { cause },
  );
}

function notConfirmed(run: Run, command: RunCommand, cause: unknown): ApiProblem {
  return new ApiProblem(
    'not-confirmed',
    `The command was not confirmed: no worker answered within ${CONFIRM_MS / 1_000} s. It may still be carried out; look at /api/runs/${run.id} before giving "${command}" again.`,
    { state: run.status, runId: run.id },
    { cause },
  );
}
