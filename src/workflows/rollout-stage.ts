import { continueAsNew, workflowInfo } from '@temporalio/workflow';
import type { PhaseInput } from '../contracts/runs.ts';
import { scaledMs } from '../domain/duration.ts';
import type { RolloutPhase, RolloutStage } from '../domain/plan.ts';
import { control } from './activities.ts';
import { closeFlag, setFlag } from './flag.ts';
import { type HoldInput, type HoldState, holdUnderWatch, newHold } from './hold.ts';
import { phaseRef } from './phase.ts';
import { listenForCommands } from './phase-commands.ts';

export type StageInput = PhaseInput<RolloutPhase> & {
  stage: RolloutStage;
  /** Set when the stage's workflow goes on from an earlier one whose history had grown long. */
  resume?: { hold: HoldState; paused: boolean };
};

export type StageOutcome = { kind: 'passed'; startedAt: number } | { kind: 'breached'; reason: string };

/**
 * Opens the flag to the stage's percentage and holds it under watch. A breach closes the flag here and at once; the run's
 * undo does it again, as for any other reason to undo.
 */
export async function rolloutStage(input: StageInput): Promise<StageOutcome> {
  const { stage, phase, resume } = input;
  const { percentage } = stage;
  const commands = listenForCommands(resume?.paused ?? input.paused);
  const ref = phaseRef(input);
  const title = `${percentage} %`;
  const watch: HoldInput = { ref, title, gates: phase.gates, percentage, timeScale: input.timeScale };

  const opening = resume ? undefined : await setFlag(ref, phase.flag, { percentage, enabled: true });
  let told = resume !== undefined;
  opening?.recorded.then(
    () => {
      told = true;
    },
    () => {},
  );
  const hold = resume?.hold ?? newHold(watch, Date.now(), scaledMs(stage.hold, input.timeScale));
  const result = await holdUnderWatch(
    watch,
    hold,
    commands,
    () => told && workflowInfo().continueAsNewSuggested,
  );
  if (result.kind === 'carry-over') {
    return continueAsNew<typeof rolloutStage>({ ...input, resume: { hold, paused: commands.paused } });
  }
  const closing = result.kind === 'breached' ? await closeFlag(ref, phase.flag) : undefined;
  await opening?.recorded;
  await closing?.recorded;
  await control(`Record the end of ${title}`).recordNote({
    runId: input.runId,
    phase: phase.name,
    type: 'stage',
    message: `${title}: ${result.reason}`,
    data: { percentage, outcome: result.kind },
    key: `${phase.name}/${percentage}/${workflowInfo().firstExecutionRunId}/end`,
  });
  return result.kind === 'breached' ? result : { kind: 'passed', startedAt: hold.startedAt };
}
