import type { PlanProblem } from '../../domain/plan-problem.ts';

/** What is wrong with the name of a plan's target: nothing, or that no database of that name is configured. */
export function targetProblems(configured: string[], target: string): PlanProblem[] {
  if (configured.includes(target)) return [];
  const known = configured.length > 0 ? `use one of ${configured.join(', ')}, or` : 'none is configured yet;';
  const variable = `CUTOVER_TARGET_${target.toUpperCase().replaceAll('-', '_')}_URL`;
  return [
    {
      path: 'target',
      problem: `"${target}" is not a configured database`,
      fix: `${known} configure it with ${variable}`,
    },
  ];
}
