import type { BackfillPhase } from '../domain/plan.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';
import { isClosed } from '../domain/sql-lexer.ts';

/**
 * Expressions that would mean something else where batches put them, in parentheses beside their own conditions: such a
 * `where` takes in rows of other batches, and such a value writes columns that nobody journals.
 */
export function lintExpressions({ where, pending, transform }: BackfillPhase, path: string): PlanProblem[] {
  const [part, byColumn] =
    transform.kind === 'sql'
      ? ['set', transform.set]
      : transform.kind === 'insert'
        ? ['values', transform.values]
        : ['', {}];
  const values = Object.entries(byColumn).map(([name, sql]) => [`transform.${part}.${name}`, sql] as const);
  return [['where', where] as const, ['pending', pending] as const, ...values].flatMap(([place, sql]) =>
    sql === undefined || isClosed(sql)
      ? []
      : [
          {
            path: `${path}.${place}`,
            problem: 'has parentheses or brackets that are not closed where they were opened',
            fix: 'write one SQL expression, with each of them in a pair',
          },
        ],
  );
}
