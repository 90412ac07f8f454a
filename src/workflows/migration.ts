import { ApplicationFailure, CancellationScope, condition } from '@temporalio/workflow';
import { FAILURE } from '../contracts/errors.ts';
import { phaseWorkflowId, undoWorkflowId } from '../contracts/names.ts';
import type { MigrationInput, PhaseOutcome } from '../contracts/runs.ts';
import type { CleanupPhase, Phase, PhaseKind } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { refusal } from '../domain/run-state.ts';
import { undoOrder } from '../domain/undo-order.ts';
import { long, preflight } from './activities.ts';
import { isHeldBack } from './held-back.ts';
import { reasonOf } from './reason-of.ts';
import { Run } from './run.ts';
import { inWorkScope, runChild, type WorkOutcome } from './run-child.ts';
import { FROM_TEMPORAL, handleCommands } from './run-commands.ts';
import { endSyncs, endSyncsAtLast, watchSync } from './run-syncs.ts';

export type MigrationResult = { status: 'completed' | 'rolled_back'; reason: string };

const PHASE_WORKFLOW: Record<PhaseKind, string> = {
  schema: 'schemaPhase',
  sync: 'syncPhase',
  backup: 'backupPhase',
  backfill: 'backfillPhase',
  verify: 'verifyPhase',
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
      await run.untilGoing();
      if (run.undoReason !== undefined) return;
      if (await isHeldBack(run, phase)) continue;
      const outcome = await runPhase(run, phase);
      if (run.undoReason !== undefined) return;
      done = outcome.kind === 'done';
      if (outcome.kind === 'done') await completePhase(run, phase, outcome);
      else await failPhase(run, phase, outcome);
    }
  }
  await endSyncsAtLast(run);
  await run.untilGoing();
}

async function runPhase(run: Run, phase: Phase): Promise<WorkOutcome> {
  run.phase = phase;
  run.approvedBy = [];
  if (!run.begun.includes(phase)) run.begun.push(phase);
  run.recordPhase(phase, 'running');
  if (phase.kind === 'approval')
    run.apply('need_approval', `"${phase.name}" waits for ${plural(phase.count, 'approval')}`);

  const workflowId = phaseWorkflowId(run.input.runId, phase.name);
  return inWorkScope(run, async () => {
    if (phase.kind === 'cleanup') {
      const guard = await passGuard(run, phase, `${workflowId}/guard`);
      if (guard.kind !== 'done') return guard;
      // What it drops may be what they read or write.
      await endSyncs(run);
    }
    if (phase.pointOfNoReturn) run.pastPointOfNoReturn = phase.name;
    const summary = `${phase.kind}: ${phase.description || phase.name}`;
    return runChild(run, phase, { type: PHASE_WORKFLOW[phase.kind], workflowId, summary });
  });
}

/** A pause that comes when the guard has just ended holds the cleanup back as well; then the guard looks again. */
async function passGuard(run: Run, phase: CleanupPhase, workflowId: string): Promise<PhaseOutcome> {
  const { after } = phase;
  if (!after) return { kind: 'done', summary: 'no flag to wait for' };
  const summary = `wait until ${after.flag.name} was at 100 % for ${after.for}`;
  for (;;) {
    const guard = await runChild(run, phase, { type: 'cleanupGuard', workflowId, summary });
    if (guard.kind !== 'done' || !run.stopped) return guard;
    await run.untilGoing();
  }
}

async function completePhase(
  run: Run,
  phase: Phase,
  outcome: Extract<PhaseOutcome, { kind: 'done' }>,
): Promise<void> {
  if (phase.kind === 'rollout' && outcome.fullyRolledOutAt !== undefined) {
    run.fullyRolledOutAt[phase.flag.name] = outcome.fullyRolledOutAt;
  }
  run.recordPhase(phase, 'completed', outcome.summary);
  if (phase.kind === 'approval') run.apply('approved', outcome.summary);
  if (phase.kind === 'sync') await watchSync(run, phase);
}

/** Begins the undo, or waits until a person has decided between trying again and undoing. */
async function failPhase(
  run: Run,
  phase: Phase,
  outcome: Exclude<WorkOutcome, { kind: 'done' }>,
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
  else if (keepsRows(run)) run.recordNote({ type: 'note', message: stillRestorable(run.input.runId) });
  run.phase = undefined;
  run.apply('finish', reason);
  return { status: 'completed', reason };
}

function keepsRows({ begun }: Run): boolean {
  return begun.some((phase) => phase.kind === 'backfill' && phase.undo.kind !== 'none');
}

function stillRestorable(runId: string): string {
  return `the target keeps what single rows can be restored from, until somebody ends that: cutover forget ${runId}`;
}

async function undoPhases(run: Run, reason: string): Promise<MigrationResult> {
  await run.syncs.stopAll();
  for (const phase of undoOrder(run.begun)) {
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
  return runChild<string>(run, phase, {
    type: 'undoPhase',
    workflowId: undoWorkflowId(run.input.runId, phase.name),
    summary: `undo ${phase.kind}: ${phase.name}`,
  });
}

function forgetTargetState(run: Run): Promise<void> {
  const { plan, runId } = run.input;
  return long(plan.target, "Remove the run's own tables from the target").forgetRun({
    runId,
    target: plan.target,
  });
}
