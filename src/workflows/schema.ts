import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import { durationMs } from '../domain/duration.ts';
import type { SchemaPhase } from '../domain/plan.ts';
import { long } from './activities.ts';
import { phaseRef } from './phase.ts';

/** Changes the target's schema: each statement under lock_timeout, with jittered retries. */
export async function schemaPhase(input: PhaseInput<SchemaPhase>): Promise<PhaseOutcome> {
  const { phase, target } = input;
  const { applied } = await long(target, `Apply ${phase.up.length} schema statements`).changeSchema({
    ...phaseRef(input),
    direction: 'up',
    statements: phase.up,
    lockTimeoutMs: durationMs(phase.lockTimeout),
    lockAttempts: phase.lockAttempts,
  });
  return { kind: 'done', summary: `${applied} statements applied` };
}
