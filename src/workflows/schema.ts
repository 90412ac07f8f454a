import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import { durationMs } from '../domain/duration.ts';
import type { SchemaPhase } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { long } from './activities.ts';
import { phaseRef } from './phase.ts';

/** Changes the target's schema: each statement under lock_timeout, with jittered retries. */
export async function schemaPhase(input: PhaseInput<SchemaPhase>): Promise<PhaseOutcome> {
  const { phase, target } = input;
  const { applied } = await long(target, `Apply ${plural(phase.up.length, 'schema statement')}`).changeSchema(
    {
      ...phaseRef(input),
      direction: 'up',
      statements: phase.up,
      lockTimeoutMs: durationMs(phase.lockTimeout),
      lockAttempts: phase.lockAttempts,
    },
  );
  return { kind: 'done', summary: `${plural(applied, 'statement')} applied` };
}
