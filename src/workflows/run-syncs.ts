import { CancellationScope, condition } from '@temporalio/workflow';
import { syncEndWorkflowId } from '../contracts/names.ts';
import type { PhaseOutcome } from '../contracts/runs.ts';
import type { SyncPhase } from '../domain/plan.ts';
import type { Run } from './run.ts';
import { inWorkScope, phaseInput, runChild } from './run-child.ts';

/** Has an installed sync looked after. Only a pause stops what the watch writes: a run that is held stops no sync. */
export function watchSync(run: Run, phase: SyncPhase): Promise<void> {
  const input = { ...phaseInput(run, phase), paused: run.status === 'paused' };
  return CancellationScope.nonCancellable(() => run.syncs.start(input));
}

/**
 * Ends every sync that is installed, the last one first; all that they have captured is derived.
 * @throws when one cannot be ended; it is looked after as before.
 */
export async function endSyncs(run: Run): Promise<PhaseOutcome> {
  for (const phase of run.syncs.phases) {
    await run.syncs.stop(phase);
    try {
      const { runId } = run.input;
      const child = { workflowId: syncEndWorkflowId(runId, phase.name), summary: `end sync ${phase.name}` };
      const ended = await runChild(run, phase, { type: 'syncEnd', ...child });
      if (ended.kind === 'done') run.recordPhase(phase, 'completed', ended.summary);
    } catch (error) {
      if (run.undoReason === undefined) await watchSync(run, phase);
      throw error;
    }
  }
  return { kind: 'done', summary: 'every sync was ended' };
}

/** The same at the end of a run: tried again for as long as people want that, unless they have the run undone. */
export async function endSyncsAtLast(run: Run): Promise<void> {
  while (run.syncs.phases.length > 0) {
    await run.untilGoing();
    if (run.undoReason !== undefined) return;
    const ended = await inWorkScope(run, () => endSyncs(run));
    if (run.undoReason !== undefined) return;
    if (ended.kind !== 'failed') continue;
    run.apply('phase_failed_hold', `a sync could not be ended: ${ended.reason}; resume tries again`);
    await condition(() => run.status !== 'held');
  }
}
