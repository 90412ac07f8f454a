import { CancellationScope, isCancellation, startChild, workflowInfo } from '@temporalio/workflow';
import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import type { Actor } from '../domain/approval.ts';
import type { BackfillPhase, Phase } from '../domain/plan.ts';
import { cancelledWithScope, childOptions } from './child.ts';
import { reasonOf } from './reason-of.ts';
import type { Run } from './run.ts';

/** Who undoes a run when no person decided it: a breach, a failure, a deadline. */
const ITSELF: Actor = { name: 'cutover', role: 'operator' };

/** How work of a run ended. */
export type WorkOutcome = PhaseOutcome | { kind: 'failed'; reason: string };

/** Does work that is cancelled when the run has to be undone. */
export async function inWorkScope(run: Run, doWork: () => Promise<PhaseOutcome>): Promise<WorkOutcome> {
  const work = new CancellationScope();
  run.work = work;
  try {
    return await work.run(doWork);
  } catch (error) {
    return { kind: 'failed', reason: isCancellation(error) ? 'cancelled from outside' : reasonOf(error) };
  } finally {
    run.work = undefined;
  }
}

/** Runs a workflow for the phase, which hears of the run's commands. */
export async function runChild<T = PhaseOutcome>(
  run: Run,
  phase: Phase,
  { type, workflowId, summary }: { type: string; workflowId: string; summary: string },
): Promise<T> {
  run.commands.expectChild();
  try {
    const input = phaseInput(run, phase);
    const child = await startChild<(input: PhaseInput) => Promise<T>>(type, {
      ...childOptions(input, summary),
      workflowId,
      args: [input],
    });
    await run.commands.attach(cancelledWithScope(child));
    return await child.result();
  } finally {
    run.commands.detach();
  }
}

export function phaseInput<P extends Phase>(run: Run, phase: P): PhaseInput<P> {
  const { runId, plan, timeScale, startedBy } = run.input;
  return {
    runId,
    planName: plan.name,
    target: plan.target,
    phase: throttled(run, phase),
    backfill: backfillOf(run, phase),
    syncs: syncsOf(run, phase),
    timeScale,
    performedBy: run.undoReason === undefined ? startedBy : (run.undoneBy ?? ITSELF),
    runDate: workflowInfo().startTime.toISOString().slice(0, 10),
    fullyRolledOutAt: run.fullyRolledOutAt,
    paused: run.stopped,
  };
}

/** A phase that is tried again, or undone, keeps the connections that it was given last. */
function throttled<P extends Phase>({ connections }: Run, phase: P): P {
  const given = connections[phase.name];
  const hasLanes = phase.kind === 'backfill' || phase.kind === 'verify';
  return hasLanes && given !== undefined ? { ...phase, parallelism: given } : phase;
}

/** The backfill that the phase names. */
function backfillOf({ input }: Run, phase: Phase): BackfillPhase | undefined {
  if (phase.kind !== 'sync' && phase.kind !== 'verify') return undefined;
  return input.plan.phases.find(
    (other): other is BackfillPhase => other.kind === 'backfill' && other.name === phase.backfill,
  );
}

/** Sync phases that a verification has to know of. */
function syncsOf({ input }: Run, phase: Phase): string[] | undefined {
  if (phase.kind !== 'verify') return undefined;
  return input.plan.phases.flatMap((other) =>
    other.kind === 'sync' && other.backfill === phase.backfill ? [other.name] : [],
  );
}
