import { workflowInfo } from '@temporalio/workflow';
import type { PhaseRef } from '../contracts/activities.ts';
import type { FlagState } from '../domain/flag-state.ts';
import type { FlagReference } from '../domain/plan.ts';
import { control, quick } from './activities.ts';

/**
 * Sets a flag and begins to record it. The two are apart, so that while the control database is away a flag is watched once
 * it is open, and closes when it must.
 * @returns the record under way, to be awaited before the workflow ends; an object, lest awaiting this awaits it too.
 */
export async function setFlag(
  ref: PhaseRef,
  flag: FlagReference,
  state: FlagState,
): Promise<{ recorded: Promise<void> }> {
  const { percentage, enabled } = state;
  const what = `${flag.name} set to ${percentage} %${enabled ? '' : ' and disabled'}`;
  await quick(ref.target, what).setFlag({ ...ref, flag, percentage, enabled });
  const recorded = control(`Record ${what}`).recordNote({
    runId: ref.runId,
    phase: ref.phase,
    type: 'flag',
    message: what,
    data: { flag: flag.name, percentage, enabled },
    key: `${ref.phase}/${workflowInfo().firstExecutionRunId}/${percentage}/${enabled}`,
  });
  // Whoever awaits it later hears of a cancellation; until then it is nobody's failure.
  recorded.catch(() => {});
  return { recorded };
}

/** Sets the flag to 0 % and disables it. */
export function closeFlag(ref: PhaseRef, flag: FlagReference): Promise<{ recorded: Promise<void> }> {
  return setFlag(ref, flag, { percentage: 0, enabled: false });
}
