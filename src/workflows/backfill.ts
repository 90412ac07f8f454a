import { condition, continueAsNew, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { BackfillSliceResult } from '../contracts/activities.ts';
import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import type { RowCounts } from '../domain/counts.ts';
import type { BackfillPhase } from '../domain/plan.ts';
import { lane, long } from './activities.ts';
import { Lanes } from './lanes.ts';
import { phaseRef } from './phase.ts';
import { listenForCommands } from './phase-commands.ts';
import { untilOpen } from './until-open.ts';

/**
 * Migrates the table on several lanes at once, each in slices of minutes, so that the history does not grow with the number
 * of rows. Where each range of keys stopped is known by the target itself, and committed with every batch.
 */
export async function backfillPhase(input: PhaseInput<BackfillPhase>): Promise<PhaseOutcome> {
  const { phase } = input;
  const lanes = new Lanes(phase.parallelism);
  const heard = listenForCommands(input.paused, (command) => {
    if (command.kind === 'pause') lanes.interrupt();
    if (command.kind === 'throttle') lanes.resize(command.connections);
  });
  const work = { ...phaseRef(input), backfill: phase, performedBy: input.performedBy };
  let latest: BackfillSliceResult | undefined;

  const runSlice = async (number: number): Promise<'again' | 'stop'> => {
    const summary = `Backfill ${phase.table}, lane ${number + 1}`;
    const backfill = { ...phase, parallelism: lanes.wanted };
    latest = await lane(input.target, summary).backfillSlice({ ...work, backfill, lane: number });
    setCurrentDetails(countsInWords(latest.counts));
    return latest.done || latest.closed || workflowInfo().continueAsNewSuggested ? 'stop' : 'again';
  };

  while (!latest?.done) {
    if (latest?.closed) await untilOpen(work, latest.closed);
    latest = undefined;
    // A pause may have come while it was closed.
    await condition(() => !heard.paused);
    if (workflowInfo().continueAsNewSuggested) {
      const resized = { ...phase, parallelism: lanes.wanted };
      await continueAsNew<typeof backfillPhase>({ ...input, phase: resized, paused: heard.paused });
    }
    await lanes.work(runSlice);
  }

  // There may be as many exceptions to copy as rows.
  const counts = await long(input.target, 'Record the result of the backfill').finishBackfill(work);
  return { kind: 'done', summary: countsInWords(counts), counts };
}

function countsInWords(counts: RowCounts): string {
  const { processed, migrated, skipped, ambiguous, failed } = counts;
  return `${processed} rows: ${migrated} migrated, ${skipped} skipped, ${ambiguous} ambiguous, ${failed} failed`;
}
