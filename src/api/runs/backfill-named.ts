import type { BackfillPhase, Plan } from '../../domain/plan.ts';
import { ApiProblem } from '../errors/problem.ts';

/**
 * The plan's backfill of this name, or its only one.
 * @throws ApiProblem when there is none, or more than one to choose from.
 */
export function backfillNamed({ phases }: Plan, name: string | undefined): BackfillPhase {
  const backfills = phases.filter((phase) => phase.kind === 'backfill');
  const found = name === undefined ? backfills : backfills.filter((phase) => phase.name === name);
  const [phase] = found;
  if (phase && found.length === 1) return phase;
  const names = backfills.map((backfill) => backfill.name).join(', ') || 'none';
  const what = name === undefined ? 'Name the backfill phase' : `The run has no backfill phase "${name}"`;
  throw new ApiProblem('invalid-request', `${what}; its backfills are: ${names}.`);
}
