import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import type { ValidatePhase } from '../domain/plan.ts';
import { long } from './activities.ts';
import { phaseRef } from './phase.ts';

/** Runs the plan's validation queries; fails with every expectation that was not met. */
export async function validatePhase(input: PhaseInput<ValidatePhase>): Promise<PhaseOutcome> {
  const { queries } = input.phase;
  const results = await long(input.target, `Run ${queries.length} validation queries`).validate({
    ...phaseRef(input),
    queries,
  });
  const passed = results.filter((result) => result.passed && !result.informational).length;
  const informational = results.filter((result) => result.informational).length;
  return { kind: 'done', summary: `${passed} queries passed, ${informational} informational` };
}
