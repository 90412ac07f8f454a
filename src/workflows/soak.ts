import { continueAsNew, workflowInfo } from '@temporalio/workflow';
import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import { formatMs, scaledMs } from '../domain/duration.ts';
import type { SoakPhase } from '../domain/plan.ts';
import { quick } from './activities.ts';
import { type HoldInput, type HoldState, holdUnderWatch, newHold } from './hold.ts';
import { phaseRef } from './phase.ts';
import { listenForCommands } from './phase-commands.ts';

export type SoakInput = PhaseInput<SoakPhase> & { resume?: { hold: HoldState; paused: boolean } };

/** Waits, under watch, until the flag has been at 100 % for the plan's time, counted from when the rollout reached it. */
export async function soakPhase(input: SoakInput): Promise<PhaseOutcome> {
  const { phase, target, timeScale } = input;
  const commands = listenForCommands(input.resume?.paused ?? input.paused);
  const ref = phaseRef(input);
  const watch: HoldInput = { ref, title: 'soak', gates: phase.gates, percentage: 100, timeScale };
  const now = Date.now();
  const since = input.fullyRolledOutAt[phase.flag.name] ?? now;
  const hold =
    input.resume?.hold ?? newHold(watch, now, Math.max(0, since + scaledMs(phase.for, timeScale) - now));

  const result = await holdUnderWatch(watch, hold, commands, () => workflowInfo().continueAsNewSuggested);
  if (result.kind === 'carry-over') {
    return continueAsNew<typeof soakPhase>({ ...input, resume: { hold, paused: commands.paused } });
  }
  if (result.kind === 'breached') return { kind: 'undo', reason: result.reason };

  const flag = await quick(target, `Read ${phase.flag.name}`).readFlag({ ...ref, flag: phase.flag });
  if (!flag.enabled || flag.percentage < 100) {
    return {
      kind: 'hold',
      reason: `${phase.flag.name} is at ${flag.percentage} % (enabled: ${flag.enabled}), not at 100 %`,
    };
  }
  return {
    kind: 'done',
    summary: `${phase.flag.name} at 100 % for ${formatMs(Date.now() - since)}; ${result.reason}`,
  };
}
