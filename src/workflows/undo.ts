import type { PhaseInput } from '../contracts/runs.ts';
import { durationMs } from '../domain/duration.ts';
import type { BackupPhase, RolloutPhase, SchemaPhase, SyncPhase } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { long, quick } from './activities.ts';
import { closeFlag } from './flag.ts';
import { phaseRef } from './phase.ts';
import { restoreRows } from './restore-rows.ts';
import { syncInput } from './sync.ts';

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
    case 'sync':
      return removeSync({ ...input, phase });
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

async function removeSync(input: PhaseInput<SyncPhase>): Promise<string> {
  const work = syncInput(input);
  const removed = await long(input.target, `Remove the sync of ${work.backfill.table}`).removeSync(work);
  return removed ? `the sync of ${work.backfill.table} was removed` : 'no sync was installed';
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
