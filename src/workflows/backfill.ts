import {
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import type { BackfillSliceResult } from '../contracts/activities.ts';
import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import type { RowCounts } from '../domain/counts.ts';
import type { BackfillPhase } from '../domain/plan.ts';
import { long } from './activities.ts';
import { phaseRef } from './phase.ts';
import { listenForCommands } from './phase-commands.ts';

/**
 * Migrates the table in slices of minutes, so that the history does not grow with the number of rows. Where it stopped is
 * known by the target itself, in the checkpoint that is committed with every batch.
 */
export async function backfillPhase(input: PhaseInput<BackfillPhase>): Promise<PhaseOutcome> {
  let slice: CancellationScope | undefined;
  const heard = listenForCommands(input.paused, (command) => {
    if (command.kind === 'pause') slice?.cancel();
  });
  const work = { ...phaseRef(input), backfill: input.phase, performedBy: input.performedBy };
  const runSlice = async (): Promise<BackfillSliceResult | 'interrupted'> => {
    const scope = new CancellationScope();
    slice = scope;
    try {
      return await scope.run(() => long(input.target, `Backfill ${input.phase.table}`).backfillSlice(work));
    } catch (error) {
      // A pause cancels only the slice, and may be over by now; whatever cancels the phase is not ours to survive.
      const phaseGoesOn = !CancellationScope.current().consideredCancelled;
      if (isCancellation(error) && scope.consideredCancelled && phaseGoesOn) return 'interrupted';
      throw error;
    } finally {
      slice = undefined;
    }
  };

  for (;;) {
    await condition(() => !heard.paused);
    const result = await runSlice();
    if (result === 'interrupted') continue;
    setCurrentDetails(countsInWords(result.counts));
    if (result.done) break;
    if (workflowInfo().continueAsNewSuggested) {
      await continueAsNew<typeof backfillPhase>({ ...input, paused: heard.paused });
    }
  }

  // There may be as many exceptions to copy as rows.
  const counts = await long(input.target, 'Record the result of the backfill').finishBackfill(work);
  return { kind: 'done', summary: countsInWords(counts), counts };
}

function countsInWords(counts: RowCounts): string {
  const { processed, migrated, skipped, ambiguous, failed } = counts;
  return `${processed} rows: ${migrated} migrated, ${skipped} skipped, ${ambiguous} ambiguous, ${failed} failed`;
}
