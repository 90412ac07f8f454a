import {
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  workflowInfo,
} from '@temporalio/workflow';
import type { SyncInput } from '../contracts/activities.ts';
import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import type { SyncPhase } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { long, watch } from './activities.ts';
import { phaseRef } from './phase.ts';
import { listenForCommands } from './phase-commands.ts';

/** Installs the sync; from then on until it is ended {@link syncWatch} looks after it. */
export async function syncPhase(input: PhaseInput<SyncPhase>): Promise<PhaseOutcome> {
  const work = syncInput(input);
  await long(input.target, `Keep ${work.backfill.table} in sync`).installSync(work);
  return { kind: 'done', summary: inWords(work) };
}

/**
 * Ends a sync: what it has captured is derived while it goes on, until nothing is left; then it is taken away. A pause stops
 * the work at a batch border.
 */
export async function syncEnd(input: PhaseInput<SyncPhase>): Promise<PhaseOutcome> {
  let slice: CancellationScope | undefined;
  const heard = listenForCommands(input.paused, ({ kind }) => {
    if (kind === 'pause') slice?.cancel();
  });
  const work = syncInput(input);
  let keys = 0;
  for (;;) {
    await condition(() => !heard.paused);
    slice = new CancellationScope();
    const finished = await finishSlice(work, slice);
    keys += finished?.keys ?? 0;
    if (finished?.done) {
      const last = keys > 0 ? `; ${plural(keys, 'captured key')} dealt with at its end` : '';
      return { kind: 'done', summary: `the sync of ${work.backfill.table} was ended${last}` };
    }
    if (workflowInfo().continueAsNewSuggested) {
      await continueAsNew<typeof syncEnd>({ ...input, paused: heard.paused });
    }
  }
}

/** Undefined when a pause has ended the slice. */
async function finishSlice(work: SyncInput, slice: CancellationScope) {
  try {
    return await slice.run(() =>
      watch(work.target, `End the sync of ${work.backfill.table}`).finishSync(work),
    );
  } catch (error) {
    if (isCancellation(error) && !CancellationScope.current().consideredCancelled) return undefined;
    throw error;
  }
}

/** @throws Error when the plan has no such backfill, which its lint refuses. */
export function syncInput(input: PhaseInput<SyncPhase>): SyncInput {
  const { phase, backfill } = input;
  if (!backfill) throw new Error(`sync "${phase.name}" names no backfill of the plan`);
  return { ...phaseRef(input), sync: phase, backfill };
}

function inWords({ sync, backfill }: SyncInput): string {
  switch (sync.mode) {
    case 'trigger':
      return `what is written to ${backfill.table} is derived by a trigger`;
    case 'capture':
      return `what is written to ${backfill.table} is captured and derived soon after`;
    case 'application':
      return `what the application writes to ${backfill.table} is watched for drift`;
  }
}
