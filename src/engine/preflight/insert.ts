import type { BackfillPhase, InsertTransform } from '../../domain/plan.ts';
import type { PlanProblem } from '../../domain/plan-problem.ts';
import { explainExpression, explainInsert, explainUpsert } from '../../targets/postgres/backfill/explain.ts';
import { insertionOf } from '../../targets/postgres/backfill/insertion.ts';
import {
  type InsertionState,
  mayLock,
  readInsertionState,
} from '../../targets/postgres/backfill/inspect-insertion.ts';
import { columnNamed, tableOf } from '../../targets/postgres/backfill/load-table.ts';
import type { BackfillTable } from '../../targets/postgres/backfill/table.ts';
import { describeTable } from '../../targets/postgres/catalog.ts';
import type { Session, TableShape } from '../../targets/target.ts';
import { addedColumns } from '../job.ts';
import { problemsOf } from './statements.ts';

/** What earlier phases of the plan will have done. */
export type PlannedBefore = {
  /** One of them creates the table that rows are copied into, so that it need not be there yet. */
  intoIsPlanned: boolean;
  /** Whether one of them may add a column of that name. */
  mayAdd: (column: string) => boolean;
};

/** What would keep rows of the table from being copied into the plan's other table. */
export async function insertionProblems(
  session: Session,
  phase: BackfillPhase,
  transform: InsertTransform,
  table: BackfillTable,
  { intoIsPlanned, mayAdd }: PlannedBefore,
): Promise<PlanProblem[]> {
  const shape = await describeTable(session, transform.into);
  if (!shape) {
    const fix = 'check its spelling and its schema, or let an earlier schema phase of the plan create it';
    const problem = `the target has no table "${transform.into}"`;
    return intoIsPlanned ? [] : [{ path: 'transform.into', problem, fix }];
  }
  if (shape.qualifiedName === table.qualifiedName) {
    const fix = 'write its columns by a transform of the kind sql';
    return [{ path: 'transform.into', problem: 'is the table that the rows come from', fix }];
  }
  const problems = columnProblems(phase, transform, shape, mayAdd);
  if (problems.length > 0) return problems;
  const use = { table: transform.into, key: transform.identifiedBy, columns: addedColumns(phase).into };
  const into = await tableOf(session, shape, use);
  const { qualifiedName } = into;
  const written = Object.keys(transform.values);
  const isThere = (name: string) => into.columns.get(name)?.missing === false;
  const state = await readInsertionState(session, qualifiedName, {
    identity: transform.identifiedBy,
    written: written.filter(isThere),
  });
  const denied = permissionProblems(phase, transform, qualifiedName, state);
  problems.push(
    ...identityProblems(transform, qualifiedName, state),
    ...denied,
    ...(await lockProblems(session, table)),
  );
  // What the role may not do it may not plan either.
  if (denied.length > 0) return problems;
  for (const [name, expression] of Object.entries(transform.values)) {
    const column = columnNamed(into.columns, name, qualifiedName);
    const explain = column.missing
      ? explainExpression(table, column, expression)
      : explainInsert(table, into, column, expression);
    problems.push(...(await problemsOf(session, `transform.values.${name}`, explain)));
  }
  if (problems.length > 0 || !written.every(isThere)) return problems;
  const insertion = insertionOf(into, transform, { written, others: [], locksRows: true });
  return problemsOf(session, 'transform', explainUpsert(table, insertion));
}

function columnProblems(
  phase: BackfillPhase,
  { values, identifiedBy }: InsertTransform,
  into: TableShape,
  mayAdd: PlannedBefore['mayAdd'],
): PlanProblem[] {
  const known = quoted(into.columns.map(({ name }) => name));
  const fix = `choose among ${known}, or give its type under \`columns\` if an earlier phase adds it`;
  const unwritten = identifiedBy.filter((name) => values[name] === undefined);
  return [
    ...unwritten.map((name) => ({
      path: 'transform.identifiedBy',
      problem: `"${name}" gets no value`,
      fix: 'give it one under `values`',
    })),
    ...Object.keys(values).flatMap((name) => {
      const path = `transform.values.${name}`;
      const column = into.columns.find((other) => other.name === name);
      if (!column && phase.columns[name] !== undefined && mayAdd(name)) return [];
      if (!column) return [{ path, problem: `${into.qualifiedName} has no column "${name}"`, fix }];
      if (!column.generated) return [];
      return [{ path, problem: `writes "${name}", which the database generates`, fix: 'leave it out' }];
    }),
  ];
}

function identityProblems(
  { identifiedBy }: InsertTransform,
  qualifiedName: string,
  { identifies, nullable, required }: InsertionState,
): PlanProblem[] {
  const problems: PlanProblem[] = [];
  if (!identifies) {
    problems.push({
      path: 'transform.identifiedBy',
      problem: `no unique index of ${qualifiedName} has just (${identifiedBy.join(', ')}), so that its rows could not be told apart`,
      fix: 'create one, without a condition and not deferrable; or name the columns of one that there is',
    });
  }
  if (nullable.length > 0) {
    problems.push({
      path: 'transform.identifiedBy',
      problem: `${quoted(nullable)} of ${qualifiedName} may be NULL, and a row with NULL there is found by nothing`,
      fix: 'set NOT NULL on it, or identify rows by other columns',
    });
  }
  if (required.length > 0) {
    problems.push({
      path: 'transform.values',
      problem: `${quoted(required)} of ${qualifiedName} must not be NULL, has no default and gets no value`,
      fix: 'give it one under `values`, or a default in the table',
    });
  }
  return problems;
}

function permissionProblems(
  { undo }: BackfillPhase,
  { onConflict }: InsertTransform,
  qualifiedName: string,
  state: InsertionState,
): PlanProblem[] {
  const path = 'transform.into';
  const updates = onConflict === 'update';
  const problems: PlanProblem[] = [];
  if (state.seesByPolicy) {
    problems.push({
      path,
      problem: `row-level security of ${qualifiedName} applies to the target's role, so rows that are there could go unseen`,
      fix: 'ALTER ROLE … BYPASSRLS, or use the role that owns the table',
    });
  }
  const lacking = [
    ...(state.mayRead ? [] : ['SELECT']),
    ...(state.notInsertable.length > 0 ? ['INSERT'] : []),
    ...(updates && state.notUpdatable.length > 0 ? ['UPDATE'] : []),
    ...(undo.kind === 'journal' && !state.mayDelete ? ['DELETE'] : []),
  ];
  if (lacking.length > 0) {
    problems.push({
      path,
      problem: `the target's role lacks ${lacking.join(', ')} on ${qualifiedName}`,
      fix: `GRANT ${lacking.join(', ')} ON ${qualifiedName} to it`,
    });
  }
  return problems;
}

async function lockProblems(session: Session, { qualifiedName }: BackfillTable): Promise<PlanProblem[]> {
  if (await mayLock(session, qualifiedName)) return [];
  return [
    {
      path: 'table',
      problem: `the target's role may not lock rows of ${qualifiedName}, and could copy one that is being deleted`,
      fix: `GRANT UPDATE ON ${qualifiedName}, or on one column of it, to it`,
    },
  ];
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}
