import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import type { BackupPhase } from '../domain/plan.ts';
import { long } from './activities.ts';
import { phaseRef } from './phase.ts';

/** Copies tables before they are changed and proves the number of copied rows. */
export async function backupPhase(input: PhaseInput<BackupPhase>): Promise<PhaseOutcome> {
  const tables = input.phase.tables.map(({ table }) => table).join(', ');
  const copies = await long(input.target, `Back up ${tables}`).backUp({
    ...phaseRef(input),
    backup: input.phase,
    runDate: input.runDate,
  });
  const summary = copies.map(({ backup, rows }) => `${backup}: ${rows} rows`).join(', ');
  return { kind: 'done', summary };
}
