import type { BackfillPhase } from '../../domain/plan.ts';
import type { PlanProblem } from '../../domain/plan-problem.ts';
import {
  explainCondition,
  explainExpression,
  explainUpdate,
} from '../../targets/postgres/backfill/explain.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import { type BackfillTable, withStandIns } from '../../targets/postgres/backfill/table.ts';
import { undoStatement } from '../../targets/postgres/backfill/undo-by-statement.ts';
import { classifySqlError, describeSqlError } from '../../targets/postgres/errors.ts';
import type { Session } from '../../targets/target.ts';

/** SQL of the plan that the server does not understand. It is planned, never run. */
export async function statementProblems(
  session: Session,
  phase: BackfillPhase,
  table: BackfillTable,
): Promise<PlanProblem[]> {
  const problems = [
    ...(await conditionProblems(session, phase, table, 'where')),
    ...(await conditionProblems(session, phase, table, 'pending')),
    ...(await setProblems(session, phase, table)),
    ...(await undoProblems(session, phase, table)),
  ];
  return problems;
}

async function conditionProblems(
  session: Session,
  phase: BackfillPhase,
  table: BackfillTable,
  path: 'where' | 'pending',
): Promise<PlanProblem[]> {
  const condition = phase[path];
  return condition === undefined ? [] : problemsOf(session, path, explainCondition(table, condition));
}

async function setProblems(
  session: Session,
  { transform }: BackfillPhase,
  table: BackfillTable,
): Promise<PlanProblem[]> {
  if (transform.kind !== 'sql') return [];
  const problems: PlanProblem[] = [];
  for (const [name, expression] of Object.entries(transform.set)) {
    const column = table.columns.get(name);
    if (!column) continue;
    // An update also tells whether the expression's type fits the column, but needs all columns to be there.
    const explain =
      withStandIns(table) === table.qualifiedName
        ? explainUpdate(table, column, expression)
        : explainExpression(table, column, expression);
    problems.push(...(await problemsOf(session, `transform.set.${name}`, explain)));
  }
  return problems;
}

async function undoProblems(
  session: Session,
  { undo }: BackfillPhase,
  table: BackfillTable,
): Promise<PlanProblem[]> {
  if (undo.kind !== 'sql') return [];
  const path = 'undo.statement';
  if (table.key.length > 1) {
    const names = table.key.map((column) => column.name).join(', ');
    return [
      {
        path,
        problem: `the key has several columns (${names}), and :keys holds values of one`,
        fix: 'use `undo: journal`',
      },
    ];
  }
  try {
    const { text, values } = undoStatement(table, undo.statement, []);
    if (values.length === 0) {
      const fix = 'limit it by the key: `WHERE id = ANY (:keys)`';
      return [{ path, problem: 'the statement does not use :keys, so it would touch rows of no batch', fix }];
    }
    // A column that does not exist yet cannot be planned for; the statement is checked again once it does.
    if (withStandIns(table) !== table.qualifiedName) return [];
    return problemsOf(session, path, { text: `EXPLAIN ${text}`, values });
  } catch (error) {
    return [{ path, problem: describeSqlError(error), fix: 'correct the statement' }];
  }
}

/** Plans the statement. */
export async function problemsOf(
  session: Session,
  path: string,
  { text, values }: { text: string; values: readonly unknown[] },
): Promise<PlanProblem[]> {
  try {
    await withSavepoint(session, () => session.query(text, values));
    return [];
  } catch (error) {
    if (classifySqlError(error) === 'retryable') throw error;
    return [
      {
        path,
        problem: describeSqlError(error),
        fix: 'correct the SQL; it is planned over the row of the table',
      },
    ];
  }
}
