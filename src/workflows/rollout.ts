import { condition, startChild } from '@temporalio/workflow';
import { stageWorkflowId } from '../contracts/names.ts';
import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import type { RolloutPhase, RolloutStage } from '../domain/plan.ts';
import { cancelledWithScope, childOptions } from './child.ts';
import { CommandRelay } from './command-relay.ts';
import { listenForCommands } from './phase-commands.ts';
import type { rolloutStage } from './rollout-stage.ts';

/** Opens the flag stage by stage; each stage is a workflow of its own. */
export async function rolloutPhase(input: PhaseInput<RolloutPhase>): Promise<PhaseOutcome> {
  const { phase, runId } = input;
  const stageCommands = new CommandRelay();
  const heard = listenForCommands(input.paused, (command, now) => {
    // An advance ends the stage that is open, and no later one.
    now.advancedBy = undefined;
    return stageCommands.forward(command);
  });

  let reached100At: number | undefined;
  for (const stage of phase.stages) {
    await condition(() => !heard.paused);
    stageCommands.expectChild();
    const child = await startChild<typeof rolloutStage>('rolloutStage', {
      ...childOptions(input, `${phase.flag.name} at ${stage.percentage} % for ${stage.hold}`),
      workflowId: stageWorkflowId(runId, phase.name, stage.percentage),
      args: [{ ...input, paused: heard.paused, stage }],
    });
    await stageCommands.attach(cancelledWithScope(child));
    const outcome = await child.result().finally(() => stageCommands.detach());
    if (outcome.kind === 'breached') return { kind: 'undo', reason: outcome.reason };
    if (stage.percentage === 100) reached100At = outcome.startedAt;
  }
  const summary = `${phase.flag.name} at ${percentages(phase.stages)}`;
  return { kind: 'done', summary, ...(reached100At === undefined ? {} : { fullyRolledOutAt: reached100At }) };
}

function percentages(stages: RolloutStage[]): string {
  return stages.map((stage) => `${stage.percentage} %`).join(' → ');
}
