import { workflowInfo } from '@temporalio/workflow';
import type { UndoRowsInput, UndoRowsResult } from '../contracts/runs.ts';
import { plural } from '../domain/plural.ts';
import { control, quick } from './activities.ts';

/** Restores single rows of a backfill, whatever the run itself is doing meanwhile. */
export async function undoRows(input: UndoRowsInput): Promise<UndoRowsResult> {
  const { runId, planName, target, phase, keys, actor } = input;
  const { workflowId: request } = workflowInfo();
  const work = {
    ...{ runId, planName, target, phase: phase.name, backfill: phase, performedBy: actor },
    ...{ keys, request },
  };
  const result = await quick(target, `Restore ${plural(keys.length, 'row')} of ${phase.table}`).undoRows(
    work,
  );
  const { restored, kept, unknown } = result;
  await control('Record which rows were restored').recordNote({
    runId,
    phase: phase.name,
    type: 'command',
    message: `${plural(restored.length, 'row')} restored by ${actor.name}, ${kept.length} kept, ${unknown.length} unknown`,
    data: { command: 'undo-rows', actor: actor.name, restored, kept, unknown },
    key: request,
  });
  return result;
}
