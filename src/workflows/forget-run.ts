import { workflowInfo } from '@temporalio/workflow';
import type { ForgetRunInput } from '../contracts/runs.ts';
import type { SyncPhase } from '../domain/plan.ts';
import { control, long } from './activities.ts';

/** Removes what the target holds of a run that has ended. */
export async function forgetRun(input: ForgetRunInput): Promise<void> {
  const { runId, target, actor } = input;
  // A run whose workflow was ended from outside may have left triggers, which write to tables that are about to go.
  for (const sync of input.plan.phases.filter((phase) => phase.kind === 'sync'))
    await removeSync(input, sync);
  await long(target, "Remove the run's own tables from the target").forgetRun({ runId, target });
  await control('Record that the run was forgotten').recordNote({
    runId,
    phase: null,
    type: 'command',
    message: `forgotten by ${actor.name}: nothing is left in the target to restore its rows from`,
    data: { command: 'forget', actor: actor.name },
    key: workflowInfo().workflowId,
  });
}

async function removeSync({ runId, planName, target, plan }: ForgetRunInput, sync: SyncPhase): Promise<void> {
  const backfill = plan.phases.find((phase) => phase.kind === 'backfill' && phase.name === sync.backfill);
  if (backfill?.kind !== 'backfill') return;
  const work = { runId, planName, target, phase: sync.name, sync, backfill };
  await long(target, `Remove the sync of ${backfill.table}`).removeSync(work);
}
