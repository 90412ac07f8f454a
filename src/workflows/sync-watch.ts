import {
  ActivityFailure,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import type { WatchSyncResult } from '../contracts/activities.ts';
import { DRIFT_SIGNAL, type DriftSignal } from '../contracts/commands.ts';
import type { PhaseInput } from '../contracts/runs.ts';
import type { DriftKind } from '../domain/drift.ts';
import { scaledMs } from '../domain/duration.ts';
import type { SyncPhase } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { control, watch } from './activities.ts';
import { listenForCommands } from './phase-commands.ts';
import { reasonOf } from './reason-of.ts';
import { syncInput } from './sync.ts';

/** A sync is never looked at more often than this, however much a run's holds are shortened. */
const SHORTEST_INTERVAL_MS = 250;

/** What a watch remembers when it continues as new. */
export type WatchState = {
  known: DriftKind[];
  /** The run waits for a person because of what is known. */
  held: boolean;
  /** A person has decided that it is put right. */
  repair: boolean;
  /** Counts the notes. */
  notes: number;
};

export type WatchInput = PhaseInput<SyncPhase> & { resume?: WatchState };

/**
 * Looks after an installed sync until it is cancelled: has what was captured derived, has it checked at the plan's interval,
 * and does about drift what the plan says. A pause stops what it writes, not what it sees.
 */
export async function syncWatch(input: WatchInput): Promise<void> {
  const state = input.resume ?? { known: [], held: false, repair: false, notes: 0 };
  let slice: CancellationScope | undefined;
  const heard = listenForCommands(input.paused, ({ kind }) => {
    if (kind !== 'pause' && kind !== 'resume') return;
    if (kind === 'resume' && state.held) Object.assign(state, { held: false, repair: true, known: [] });
    slice?.cancel();
  });
  for (;;) {
    if (workflowInfo().continueAsNewSuggested) {
      await continueAsNew<typeof syncWatch>({ ...input, paused: heard.paused, resume: state });
    }
    slice = new CancellationScope();
    const result = await lookAfter(input, state, heard.paused, slice);
    if (result) await judge(input, state, result);
  }
}

/** Undefined when a command has ended the slice. What keeps it from being looked after is drift that nobody can see. */
async function lookAfter(
  input: WatchInput,
  state: WatchState,
  paused: boolean,
  slice: CancellationScope,
): Promise<WatchSyncResult | undefined> {
  const { phase, target } = input;
  const intervalMs = Math.max(SHORTEST_INTERVAL_MS, scaledMs(phase.watchInterval, input.timeScale));
  const work = { ...syncInput(input), intervalMs, paused, known: state.known };
  const repair = phase.onDrift === 'repair' || state.repair;
  try {
    return await slice.run(() =>
      watch(target, `Look after the sync of ${work.backfill.table}`).watchSync({ ...work, repair }),
    );
  } catch (error) {
    if (isCancellation(error) && !CancellationScope.current().consideredCancelled) return undefined;
    if (!(error instanceof ActivityFailure)) throw error;
    const reason = reasonOf(error);
    await condition(() => slice.consideredCancelled, intervalMs);
    return { drifts: [{ kind: 'unknown', reason: `it cannot be looked after: ${reason}` }], repaired: 0 };
  }
}

async function judge(input: WatchInput, state: WatchState, result: WatchSyncResult): Promise<void> {
  const kinds = result.drifts.map(({ kind }) => kind);
  const isNew = kinds.join() !== state.known.join();
  const reason = result.drifts.map((drift) => drift.reason).join('; ');
  setCurrentDetails(reason === '' ? 'All is well.' : `**Drift**: ${reason}`);
  const repaired =
    result.repaired > 0
      ? `${plural(result.repaired, 'row')} found wrong ${result.repaired === 1 ? 'is' : 'are'} derived anew`
      : '';
  const message =
    reason === '' ? repaired || 'does its work again' : [reason, repaired].filter(Boolean).join('; ');
  if (isNew || repaired !== '') await note(input, state, message);
  // What a person had put right may be found again, and counts then.
  const decided = state.repair;
  Object.assign(state, { known: decided ? [] : kinds, repair: false });
  if (decided || !isNew || reason === '' || input.phase.onDrift !== 'hold') return;
  state.held = true;
  await tellRun(input, { phase: input.phase.name, reason });
}

async function note(input: WatchInput, state: WatchState, message: string): Promise<void> {
  state.notes += 1;
  await control(`Record: ${message}`).recordNote({
    runId: input.runId,
    phase: input.phase.name,
    type: 'note',
    message: `sync "${input.phase.name}": ${message}`,
    key: `${input.phase.name}/watch/${workflowInfo().firstExecutionRunId}/${state.notes}`,
  });
}

async function tellRun({ runId }: WatchInput, drift: DriftSignal): Promise<void> {
  await getExternalWorkflowHandle(runId).signal<[DriftSignal]>(DRIFT_SIGNAL, drift);
}
