import {
  ApplicationFailure,
  CancellationScope,
  condition,
  executeChild,
  isCancellation,
  rootCause,
  startChild,
  TimeoutFailure,
  workflowInfo,
} from '@temporalio/workflow';
import { FAILURE } from '../contracts/errors.ts';
import { phaseWorkflowId, undoWorkflowId } from '../contracts/names.ts';
import type { MigrationInput, PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import type { Actor } from '../domain/approval.ts';
import type { CleanupPhase, Phase, PhaseKind } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { refusal } from '../domain/run-state.ts';
import { long, preflight } from './activities.ts';
import { childOptions } from './child.ts';
import { Run } from './run.ts';
import { FROM_TEMPORAL, handleCommands } from './run-commands.ts';

/** Who undoes a run when no person decided it: a breach, a failure, a deadline. */
const ITSELF: Actor = { name: 'cutover', role: 'operator' };

export type MigrationResult = { status: 'completed' | 'rolled_back'; reason: string };

const PHASE_WORKFLOW: Record<PhaseKind, string> = {
  schema: 'schemaPhase',
  backup: 'backupPhase',
  backfill: 'backfillPhase',
  validate: 'validatePhase',
  approval: 'approvalPhase',
  rollout: 'rolloutPhase',
  soak: 'soakPhase',
  cleanup: 'cleanupPhase',
};

/** Runs a plan from preflight to its last phase, or undoes what was begun, in reverse order. */
export async function migration(input: MigrationInput): Promise<MigrationResult> {
  const run = new Run(input);
  handleCommands(run);
  // A cancellation from Temporal's side is a person's wish to stop: it rolls back instead of leaving things half done.
  CancellationScope.current().cancelRequested.catch(() => rollBackAsCancelled(run));
  return CancellationScope.nonCancellable(async () => {
    run.apply('start');
    await checkPlan(run);
    await runPhases(run);
    const result = run.undoReason === undefined ? await finish(run) : await undoPhases(run, run.undoReason);
    await run.recorded();
    return result;
  });
}

function rollBackAsCancelled(run: Run): void {
  const why = refusal('rollback', run.state());
  if (why === undefined) run.beginUndo('rollback', 'cancelled from Temporal', FROM_TEMPORAL);
  else run.recordNote({ type: 'command', message: `cancellation from Temporal ignored: ${why}` });
}

async function checkPlan(run: Run): Promise<void> {
  const { plan } = run.input;
  try {
    await preflight(plan.target).preflight({ plan });
  } catch (error) {
    // Whoever has asked for a rollback meanwhile gets it; nothing was done yet.
    if (run.undoReason !== undefined) return;
    const reason = reasonOf(error);
    run.apply('refuse_preflight', reason);
    await run.recorded();
    throw ApplicationFailure.nonRetryable(reason, FAILURE.preflightRefused);
  }
}

async function runPhases(run: Run): Promise<void> {
  for (const phase of run.input.plan.phases) {
    for (let done = false; !done; ) {
      await condition(() => run.status !== 'paused');
      if (run.undoReason !== undefined) return;
      const outcome = await runPhase(run, phase);
      if (run.undoReason !== undefined) return;
      done = outcome.kind === 'done';
      if (outcome.kind === 'done') completePhase(run, phase, outcome);
      else await failPhase(run, phase, outcome);
    }
  }
  await condition(() => run.status !== 'paused');
}

async function runPhase(run: Run, phase: Phase): Promise<PhaseOutcome | { kind: 'failed'; reason: string }> {
  run.phase = phase;
  run.approvedBy = [];
  if (!run.begun.includes(phase)) run.begun.push(phase);
  run.recordPhase(phase, 'running');
  if (phase.kind === 'approval')
    run.apply('need_approval', `"${phase.name}" waits for ${plural(phase.count, 'approval')}`);

  const workflowId = phaseWorkflowId(run.input.runId, phase.name);
  const work = new CancellationScope();
  run.work = work;
  try {
    return await work.run(async () => {
      if (phase.kind === 'cleanup') {
        const guard = await passGuard(run, phase, `${workflowId}/guard`);
        if (guard.kind !== 'done') return guard;
      }
      if (phase.pointOfNoReturn) run.pastPointOfNoReturn = phase.name;
      const summary = `${phase.kind}: ${phase.description || phase.name}`;
      return runChild(run, phase, { type: PHASE_WORKFLOW[phase.kind], workflowId, summary });
    });
  } catch (error) {
    return { kind: 'failed', reason: isCancellation(error) ? 'cancelled from outside' : reasonOf(error) };
  } finally {
    run.work = undefined;
  }
}

/** A pause that comes when the guard has just ended holds the cleanup back as well; then the guard looks again. */
async function passGuard(run: Run, phase: CleanupPhase, workflowId: string): Promise<PhaseOutcome> {
  const { after } = phase;
  if (!after) return { kind: 'done', summary: 'no flag to wait for' };
  const summary = `wait until ${after.flag.name} was at 100 % for ${after.for}`;
  for (;;) {
    const guard = await runChild(run, phase, { type: 'cleanupGuard', workflowId, summary });
    if (guard.kind !== 'done' || run.status !== 'paused') return guard;
    await condition(() => run.status !== 'paused');
  }
}

async function runChild(
  run: Run,
  phase: Phase,
  { type, workflowId, summary }: { type: string; workflowId: string; summary: string },
): Promise<PhaseOutcome> {
  run.commands.expectChild();
  try {
    const input = phaseInput(run, phase);
    const child = await startChild<(input: PhaseInput) => Promise<PhaseOutcome>>(type, {
      ...childOptions(input, summary),
      workflowId,
      args: [input],
    });
    await run.commands.attach(child);
    return await child.result();
  } finally {
    run.commands.detach();
  }
}

function phaseInput(run: Run, phase: Phase): PhaseInput {
  const { runId, plan, timeScale, startedBy } = run.input;
  return {
    runId,
    planName: plan.name,
    target: plan.target,
    phase,
    timeScale,
    performedBy: run.undoReason === undefined ? startedBy : (run.undoneBy ?? ITSELF),
    runDate: workflowInfo().startTime.toISOString().slice(0, 10),
    fullyRolledOutAt: run.fullyRolledOutAt,
    paused: run.status === 'paused',
  };
}

function completePhase(run: Run, phase: Phase, outcome: Extract<PhaseOutcome, { kind: 'done' }>): void {
  if (phase.kind === 'rollout' && outcome.fullyRolledOutAt !== undefined) {
    run.fullyRolledOutAt[phase.flag.name] = outcome.fullyRolledOutAt;
  }
  run.recordPhase(phase, 'completed', outcome.summary);
  if (phase.kind === 'approval') run.apply('approved', outcome.summary);
}

/** Begins the undo, or waits until a person has decided between trying again and undoing. */
async function failPhase(
  run: Run,
  phase: Phase,
  outcome: Exclude<PhaseOutcome, { kind: 'done' }> | { kind: 'failed'; reason: string },
): Promise<void> {
  run.recordPhase(phase, 'failed', outcome.reason);
  const reason = `"${phase.name}": ${outcome.reason}`;
  const undo = outcome.kind === 'undo' || (outcome.kind === 'failed' && phase.onFailure === 'rollback');
  if (undo && run.pastPointOfNoReturn === undefined) {
    run.beginUndo('must_undo', reason);
    return;
  }
  const past = undo
    ? ` ("${run.pastPointOfNoReturn}" is a point of no return, so nothing is undone by itself)`
    : '';
  run.apply('phase_failed_hold', `${reason}${past}; resume tries the phase again`);
  await condition(() => run.status !== 'held');
}

async function finish(run: Run): Promise<MigrationResult> {
  const reason = 'every phase is complete';
  // Past a point of no return nothing can be undone any more, so the pre-images have served their purpose.
  if (run.pastPointOfNoReturn !== undefined) await forgetTargetState(run);
  run.phase = undefined;
  run.apply('finish', reason);
  return { status: 'completed', reason };
}

async function undoPhases(run: Run, reason: string): Promise<MigrationResult> {
  for (const phase of run.begun.toReversed()) {
    run.phase = phase;
    run.recordPhase(phase, 'undoing');
    await untilUndone(run, phase.name, async () => {
      const summary = await undoPhase(run, phase);
      run.recordPhase(phase, 'undone', summary);
    });
  }
  // A run that began nothing has nothing there, and the target may be what could not be reached.
  if (run.begun.length > 0) await untilUndone(run, 'target', () => forgetTargetState(run));
  run.phase = undefined;
  run.apply('undone', reason);
  return { status: 'rolled_back', reason };
}

/** Tries again for as long as people want it tried again; a rollback is never given up half-way. */
async function untilUndone(run: Run, what: string, undo: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await undo();
    } catch (error) {
      const reason = `undoing "${what}" failed: ${reasonOf(error)}`;
      if (run.phase) run.recordPhase(run.phase, 'undo_failed', reason);
      run.apply('undo_failed', `${reason}; resume tries again`);
      await condition(() => run.status === 'rolling_back');
    }
  }
}

function undoPhase(run: Run, phase: Phase): Promise<string> {
  const input = phaseInput(run, phase);
  return executeChild<(input: PhaseInput) => Promise<string>>('undoPhase', {
    ...childOptions(input, `undo ${phase.kind}: ${phase.name}`),
    workflowId: undoWorkflowId(run.input.runId, phase.name),
    args: [input],
  });
}

function forgetTargetState(run: Run): Promise<void> {
  const { plan, runId } = run.input;
  return long(plan.target, "Remove the run's own tables from the target").forgetRun({
    runId,
    target: plan.target,
  });
}

/** The text that an activity has made for people; else the innermost one. */
function reasonOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ApplicationFailure || cause instanceof TimeoutFailure) return cause.message;
  }
  return rootCause(error) || String(error);
}
