import { continueAsNew, workflowInfo } from '@temporalio/workflow';
import type { PhaseInput } from '../contracts/runs.ts';
import { durationMs } from '../domain/duration.ts';
import type { BackfillPhase, BackupPhase, RolloutPhase, SchemaPhase } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { long, quick } from './activities.ts';
import { closeFlag } from './flag.ts';
import { phaseRef } from './phase.ts';

/** Undoes whatever the phase has done, much or little; returns in words what that was. */
export async function undoPhase(input: PhaseInput): Promise<string> {
  const { phase } = input;
  switch (phase.kind) {
    case 'rollout':
      return close({ ...input, phase });
    case 'backfill':
      return restoreRows({ ...input, phase });
    case 'backup':
      return dropBackups({ ...input, phase });
    case 'schema':
      return revertSchema({ ...input, phase });
    default:
      return 'nothing to undo';
  }
}

async function close(input: PhaseInput<RolloutPhase>): Promise<string> {
  const { flag } = input.phase;
  const { recorded } = await closeFlag(phaseRef(input), flag);
  await recorded;
  return `${flag.name} set to 0 % and disabled`;
}

async function restoreRows(input: PhaseInput<BackfillPhase>): Promise<string> {
  const { phase } = input;
  if (phase.undo.kind === 'none') return 'rows left as they are, as the plan says';
  const work = { ...phaseRef(input), backfill: phase, performedBy: input.performedBy };
  for (;;) {
    const slice = await long(input.target, `Restore rows of ${phase.table}`).undoBackfillSlice(work);
    if (slice.done) {
      const kept = slice.kept > 0 ? `, ${slice.kept} kept because they were changed since` : '';
      return `${plural(slice.restored, 'row')} restored${kept}`;
    }
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof undoPhase>(input);
  }
}

async function dropBackups(input: PhaseInput<BackupPhase>): Promise<string> {
  const { phase } = input;
  if (phase.onRollback === 'keep') return 'backups kept, as the plan says';
  const dropped = await quick(input.target, 'Drop the backup tables').dropBackups({
    ...phaseRef(input),
    backup: phase,
    runDate: input.runDate,
  });
  return dropped.length > 0 ? `dropped ${dropped.join(', ')}` : 'no backup had been made';
}

async function revertSchema(input: PhaseInput<SchemaPhase>): Promise<string> {
  const { phase } = input;
  const { applied } = await long(input.target, 'Revert the schema change').changeSchema({
    ...phaseRef(input),
    direction: 'down',
    statements: phase.down,
    lockTimeoutMs: durationMs(phase.lockTimeout),
    lockAttempts: phase.lockAttempts,
  });
  return applied > 0 ? `${plural(applied, 'down statement')} applied` : 'the schema had not been changed';
}
