import { continueAsNew, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { UndoBeginning, UndoSliceResult } from '../contracts/activities.ts';
import type { PhaseInput } from '../contracts/runs.ts';
import type { BackfillPhase } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { control, lane, long } from './activities.ts';
import { Lanes } from './lanes.ts';
import { phaseRef } from './phase.ts';
import { listenForCommands } from './phase-commands.ts';
import { untilOpen } from './until-open.ts';

/** Restores the rows of a backfill on several lanes at once, as they were migrated. */
export async function restoreRows(input: PhaseInput<BackfillPhase>): Promise<string> {
  const { phase, target } = input;
  const lanes = new Lanes(phase.parallelism);
  listenForCommands(input.paused, (command) => {
    if (command.kind === 'throttle') lanes.resize(command.connections);
  });
  const work = { ...phaseRef(input), backfill: phase, performedBy: input.performedBy };
  const begun = await long(target, `Find what there is to restore of ${phase.table}`).beginUndo(work);
  if (phase.undo.kind === 'none') return 'rows left as they are, as the plan says';
  await announce(input, begun);
  let latest: UndoSliceResult | undefined;

  const runSlice = async (number: number): Promise<'again' | 'stop'> => {
    const summary = `Restore rows of ${phase.table}, lane ${number + 1}`;
    // One lane never waits behind backfills: whoever rolls back wants it done.
    const activities = number === 0 ? long(target, summary) : lane(target, summary);
    const backfill = { ...phase, parallelism: lanes.wanted };
    latest = await activities.undoBackfillSlice({ ...work, backfill, lane: number });
    setCurrentDetails(inWords(latest));
    return latest.done || latest.closed || workflowInfo().continueAsNewSuggested ? 'stop' : 'again';
  };

  while (!latest?.done) {
    if (latest?.closed) await untilOpen(work, latest.closed);
    latest = undefined;
    if (workflowInfo().continueAsNewSuggested) {
      const resized = { ...phase, parallelism: lanes.wanted };
      await continueAsNew<(input: PhaseInput) => Promise<string>>({ ...input, phase: resized });
    }
    await lanes.work(runSlice);
  }

  const { restored, kept } = await long(target, 'Record the result of the undo').finishUndo(work);
  return `${plural(restored, 'row')} restored${kept > 0 ? `, ${kept} kept as they are` : ''}`;
}

/** So that whoever watches knows from the start what it will cost. */
async function announce(input: PhaseInput<BackfillPhase>, { rows, exact }: UndoBeginning): Promise<void> {
  const { runId, phase } = input;
  const message = `${exact ? '' : 'about '}${plural(rows, 'row')} of ${phase.table} to restore`;
  setCurrentDetails(message);
  await control('Record how many rows there are to restore').recordNote({
    runId,
    phase: phase.name,
    type: 'note',
    message,
    data: { rows, exact },
    // The same however often the undo is tried again.
    key: `${workflowInfo().workflowId}/rows`,
  });
}

function inWords({ restored, kept, rows }: UndoSliceResult): string {
  return `${restored} of ${plural(rows, 'row')} restored${kept > 0 ? `, ${kept} kept` : ''}`;
}
