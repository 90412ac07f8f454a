import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import type { ValidatePhase } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { long } from './activities.ts';
import { phaseRef } from './phase.ts';

/** Runs the plan's validation queries; fails with every expectation that was not met. */
export async function validatePhase(input: PhaseInput<ValidatePhase>): Promise<PhaseOutcome> {
  const { queries } = input.phase;
  const { passed, informational } = await long(
    input.target,
    `Run ${plural(queries.length, 'validation query', 'validation queries')}`,
  ).validate({ ...phaseRef(input), queries });
  const summary = `${plural(passed, 'query', 'queries')} passed, ${informational} informational`;
  return { kind: 'done', summary };
}
