import type { BackfillPhase } from '../domain/plan.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';

/** Rules between the parts of a transform that copies rows into another table. */
export function lintInsert({ table, transform }: BackfillPhase, path: string): PlanProblem[] {
  if (transform.kind !== 'insert') return [];
  const { into, values, identifiedBy, onConflict } = transform;
  const problems: PlanProblem[] = [];
  const problem = (key: string, text: string, fix: string) =>
    problems.push({ path: `${path}.transform.${key}`, problem: text, fix });
  if (into === table) {
    problem(
      'into',
      'is the table that the rows come from',
      'write its columns by a transform of the kind sql',
    );
  }
  const written = Object.keys(values);
  for (const name of identifiedBy.filter((column) => !written.includes(column))) {
    problem('identifiedBy', `"${name}" gets no value`, 'give it one under `values`');
  }
  const twice = identifiedBy.find((name, i) => identifiedBy.indexOf(name) < i);
  if (twice !== undefined) problem('identifiedBy', `names "${twice}" twice`, 'name each column once');
  if (onConflict === 'update' && written.every((name) => identifiedBy.includes(name))) {
    problem(
      'onConflict',
      'is update, and there is nothing to update: all values identify the row',
      'leave it out',
    );
  }
  return problems;
}
