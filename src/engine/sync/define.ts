import type { InsertTransform } from '../../domain/plan.ts';
import { namesIn } from '../../domain/sql-lexer.ts';
import { columnNamed, loadTable } from '../../targets/postgres/backfill/load-table.ts';
import { pinSession } from '../../targets/postgres/backfill/pin-session.ts';
import { parenthesised } from '../../targets/postgres/backfill/sql.ts';
import type { BackfillColumn, BackfillTable } from '../../targets/postgres/backfill/table.ts';
import { describeTable, quoteIdentifier } from '../../targets/postgres/catalog.ts';
import type { CopyWork, SyncDefinition, SyncWork } from '../../targets/postgres/sync/definition.ts';
import { listViolations, mayDelete } from '../../targets/postgres/sync/inspect.ts';
import type { Session } from '../../targets/target.ts';
import { writtenColumns } from '../job.ts';
import { backfillOf, type SyncJob, transformOf } from './job.ts';
import { triggerProblems } from './problems.ts';

/**
 * What the sync's triggers have to do on the table as it is now.
 * @throws Error when they cannot do it: a column is missing, an expression is wrong, the table takes no triggers.
 */
export async function defineSync(session: Session, job: SyncJob, id: string): Promise<SyncDefinition> {
  const { runId, phase, backfill } = job;
  const [problem] = await triggerProblems(session, job);
  if (problem) throw new Error(`${problem.problem}; ${problem.fix}`);
  const table = await loadTable(session, { table: backfill.table, key: backfill.key, columns: {} });
  return {
    id,
    runId,
    phase: phase.name,
    writer: { runId, phase: backfill.name },
    table,
    work: await workOf(session, job, table),
  };
}

async function workOf(session: Session, job: SyncJob, table: BackfillTable): Promise<SyncWork> {
  const { phase, backfill } = job;
  const { transform, where } = backfill;
  if (phase.mode === 'capture') {
    const deletes = transform.kind === 'insert' && mirrors(table, transform);
    if (deletes) await requireDelete(session, transform.into);
    return { kind: 'capture', changes: columnsThatMatter(job, table), deletes };
  }
  if (transform.kind === 'registered') {
    throw new Error('triggers cannot run a registered transform; use mode: capture');
  }
  if (transform.kind === 'insert') {
    const work = await copyWork(session, table, transform);
    if (work.mirrors) await requireDelete(session, transform.into);
    await tryExpressions(session, table, Object.values(work.values), where);
    return { kind: 'copy', where, ...work };
  }
  const { set } = transform;
  for (const column of Object.keys(set)) columnNamed(table.columns, column, table.qualifiedName);
  await tryExpressions(session, table, Object.values(set), where);
  const violations = await listViolations(session, table.qualifiedName, Object.keys(set));
  return { kind: 'set', where, set, violations };
}

/** @throws Error when there is no table to copy into. */
export async function copyWork(
  session: Session,
  table: BackfillTable,
  transform: InsertTransform,
): Promise<CopyWork> {
  const { values, identifiedBy, onConflict } = transform;
  const into = await describeTable(session, transform.into);
  if (!into) throw new Error(`there is no table ${transform.into} in the target; check its name and schema`);
  return {
    into: into.qualifiedName,
    values,
    identifiedBy,
    onConflict,
    mirrors: mirrors(table, transform),
  };
}

/** @throws Error when copies could not be deleted with their rows. */
async function requireDelete(session: Session, into: string): Promise<void> {
  if (await mayDelete(session, into)) return;
  throw new Error(
    `copies go when their rows go, and the target's role may not delete from ${into}; GRANT DELETE ON ${into} to it`,
  );
}

/**
 * Whether each row has a copy of its own, which its key alone tells: every key column is written to an identifying column as
 * it is, and nothing but key columns decides about the others.
 */
function mirrors({ alias, key, columns }: BackfillTable, transform: InsertTransform): boolean {
  const identity = transform.identifiedBy.map((column) => transform.values[column] ?? '');
  const keyNames = key.map(({ name }) => name);
  const spellings = (name: string) =>
    ['', `${alias}.`].flatMap((prefix) => [prefix + name, prefix + quoteIdentifier(name)]);
  const wholeKey = keyNames.every((name) => spellings(name).some((spelling) => identity.includes(spelling)));
  const others = [...columns.keys()].filter((name) => !keyNames.includes(name));
  return wholeKey && !identity.some((expression) => others.some((name) => namesIn(expression).has(name)));
}

/** Columns whose change can change what the transform makes of the row; more, where that is not certain. */
function columnsThatMatter(job: SyncJob, table: BackfillTable): BackfillColumn[] {
  const stored = [...table.columns.values()].filter(({ generated, name }) => {
    return !generated || table.key.some((column) => column.name === name);
  });
  const transform = transformOf(job);
  if (!transform) return stored;
  const { where } = job.backfill;
  const condition = namesIn(where ?? '');
  // The row as a whole, or all of its columns.
  if (condition.has(table.alias.replaceAll('"', '')) || where?.includes('*')) return stored;
  const names = new Set([
    ...table.key.map(({ name }) => name),
    ...transform.reads,
    ...writtenColumns(backfillOf(job)),
    ...condition,
  ]);
  return stored.filter(({ name }) => names.has(name));
}

/** Plans the expressions as the triggers will read them. @throws the server's error. */
async function tryExpressions(
  session: Session,
  table: BackfillTable,
  expressions: readonly string[],
  where: string | undefined,
): Promise<void> {
  await pinSession(session);
  const condition = where === undefined ? '' : ` WHERE ${parenthesised(where)}`;
  await session.query(
    `EXPLAIN SELECT ${expressions.map(parenthesised).join(', ')}
       FROM unnest(ARRAY[NULL::${table.qualifiedName}]) AS ${table.alias}${condition}`,
  );
}
