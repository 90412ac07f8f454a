import { continueAsNew, workflowInfo } from '@temporalio/workflow';
import type { PhaseInput } from '../contracts/runs.ts';
import { scaledMs } from '../domain/duration.ts';
import type { RolloutPhase, RolloutStage } from '../domain/plan.ts';
import { control, quick } from './activities.ts';
import { type HoldInput, type HoldState, holdUnderWatch, newHold } from './hold.ts';
import { phaseRef } from './phase.ts';
import { listenForCommands } from './phase-commands.ts';

export type StageInput = PhaseInput<RolloutPhase> & {
  stage: RolloutStage;
  /** Set when the stage's workflow goes on from an earlier one whose history had grown long. */
  resume?: { hold: HoldState; paused: boolean };
};

export type StageOutcome = { kind: 'passed'; startedAt: number } | { kind: 'breached'; reason: string };

/** Opens the flag to the stage's percentage and holds it under watch. */
export async function rolloutStage(input: StageInput): Promise<StageOutcome> {
  const { stage, phase, target, timeScale } = input;
  const commands = listenForCommands(input.resume?.paused ?? input.paused);
  const ref = phaseRef(input);
  const title = `${stage.percentage} %`;
  const watch: HoldInput = { ref, title, gates: phase.gates, percentage: stage.percentage, timeScale };

  const hold = input.resume?.hold ?? (await open());
  const result = await holdUnderWatch(watch, hold, commands, () => workflowInfo().continueAsNewSuggested);
  if (result.kind === 'carry-over') {
    return continueAsNew<typeof rolloutStage>({ ...input, resume: { hold, paused: commands.paused } });
  }
  await control(`Record the end of ${title}`).recordNote({
    runId: input.runId,
    phase: phase.name,
    type: 'stage',
    message: `${title}: ${result.reason}`,
    data: { percentage: stage.percentage, outcome: result.kind },
    key: `${phase.name}/${stage.percentage}/${workflowInfo().firstExecutionRunId}/end`,
  });
  return result.kind === 'breached' ? result : { kind: 'passed', startedAt: hold.startedAt };

  async function open(): Promise<HoldState> {
    const key = `${phase.name}/${stage.percentage}/${workflowInfo().firstExecutionRunId}/open`;
    await quick(target, `Set ${phase.flag.name} to ${title}`).setFlag({
      ...ref,
      flag: phase.flag,
      percentage: stage.percentage,
      enabled: true,
      key,
    });
    return newHold(watch, Date.now(), scaledMs(stage.hold, timeScale));
  }
}
