import type { BackfillPhase } from '../../domain/plan.ts';
import type { PlanProblem } from '../../domain/plan-problem.ts';
import { hasUniqueIndex, readPrivileges, readServerState } from '../../targets/postgres/backfill/inspect.ts';
import { tableOf } from '../../targets/postgres/backfill/load-table.ts';
import { pinSession } from '../../targets/postgres/backfill/pin-session.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { BackfillTable } from '../../targets/postgres/backfill/table.ts';
import { describeTable } from '../../targets/postgres/catalog.ts';
import { classifySqlError, describeSqlError } from '../../targets/postgres/errors.ts';
import type { Session, TableShape, Target } from '../../targets/target.ts';
import { previewContext } from '../dry-run/context.ts';
import { addedColumns, writtenColumns } from '../job.ts';
import { type Transform, TransformNotRegistered, type TransformRegistry } from '../transform/transform.ts';
import { batchPlanProblems } from './batch-plans.ts';
import { insertionProblems, type PlannedBefore } from './insert.ts';
import { redactProblems } from './redact.ts';
import { statementProblems } from './statements.ts';

/**
 * Everything that would keep the backfill from running on the target as it is now, or as it will be once an earlier phase
 * has added `phase.columns`. Writes nothing. Paths are relative to the phase.
 */
export async function preflightBackfill(
  target: Target,
  phase: BackfillPhase,
  transforms: TransformRegistry,
  before: PlannedBefore = { intoIsPlanned: false, mayAdd: () => true },
): Promise<PlanProblem[]> {
  return target.transaction(
    { readOnly: true, lockTimeoutMs: 5_000, statementTimeoutMs: 30_000 },
    async (session) => {
      await pinSession(session);
      const transform = findTransform(phase, transforms);
      const problems = [...transform.problems, ...(await serverProblems(session))];
      const shape = await describeTable(session, phase.table);
      if (!shape) {
        const fix = 'check its spelling, its schema, and that the target is the right database';
        return [...problems, { path: 'table', problem: `the target has no table "${phase.table}"`, fix }];
      }
      problems.push(...(await keyProblems(session, phase, shape)));
      if (problems.some(({ path }) => path === 'key')) return problems;
      const loaded = await load(session, phase, shape);
      if ('problem' in loaded) return [...problems, loaded];
      // Without the transform there is no telling which columns it writes.
      const written = transform.problems.length > 0 ? [] : ownWrittenColumns(phase, transforms);
      const missing = columnProblems(phase, loaded, written, transform.transform);
      problems.push(...missing, ...promiseProblems(loaded, before), ...redactProblems(phase, loaded));
      problems.push(...(await permissionProblems(session, loaded, written)));
      if (missing.length === 0) problems.push(...(await statementProblems(session, phase, loaded)));
      if (phase.transform.kind === 'insert') {
        problems.push(...(await insertionProblems(session, phase, phase.transform, loaded, before)));
      }
      // What can't be planned, or not run, has other problems than being slow.
      if (problems.length > 0) return problems;
      return batchPlanProblems(session, await previewContext(session, { phase, transforms }));
    },
  );
}

/** Columns of the phase's own table that it writes; a transform that inserts writes those of another. */
function ownWrittenColumns(phase: BackfillPhase, transforms: TransformRegistry): string[] {
  return phase.transform.kind === 'insert' ? [] : writtenColumns({ phase, transforms });
}

function findTransform(
  { transform }: BackfillPhase,
  transforms: TransformRegistry,
): { transform?: Transform; problems: PlanProblem[] } {
  if (transform.kind !== 'registered') return { problems: [] };
  try {
    return { transform: transforms.lookup(transform.name, transform.version), problems: [] };
  } catch (error) {
    if (!(error instanceof TransformNotRegistered)) throw error;
    const fix = 'register it with the worker, or name one that is registered';
    return { problems: [{ path: 'transform', problem: error.message, fix }] };
  }
}

async function serverProblems(session: Session): Promise<PlanProblem[]> {
  const { inRecovery, readOnlyByDefault, mayCreateSchema, ownSchema } = await readServerState(session);
  const problems: PlanProblem[] = [];
  if (inRecovery) {
    problems.push({
      path: '',
      problem: 'the target is a standby in recovery and takes no writes',
      fix: 'point the target at the primary',
    });
  } else if (readOnlyByDefault) {
    problems.push({
      path: '',
      problem: 'the target is set to read only (default_transaction_read_only)',
      fix: 'reset it for the role or the database of the target, or use another role',
    });
  }
  if (!mayCreateSchema && !ownSchema) {
    problems.push({
      path: '',
      problem: "the target's role may not create the schema `cutover`, which holds the state of runs",
      fix: 'GRANT CREATE ON DATABASE to the role',
    });
  }
  return problems;
}

async function keyProblems(
  session: Session,
  phase: BackfillPhase,
  shape: TableShape,
): Promise<PlanProblem[]> {
  const problem = (text: string, fix: string) => [{ path: 'key', problem: text, fix }];
  const { qualifiedName } = shape;
  if (!phase.key) {
    if (shape.key.length > 0) return [];
    return problem(
      `the table ${qualifiedName} has no primary key to page through it by`,
      'add a primary key, or name as `key` columns that are NOT NULL and unique together',
    );
  }
  const columns = phase.key.map((name) => shape.columns.find((column) => column.name === name));
  const absent = phase.key.filter((_, i) => columns[i] === undefined);
  if (phase.key.length === 0 || absent.length > 0) {
    return problem(
      `the table ${qualifiedName} has no column ${quoted(absent)}`,
      `choose among ${quoted(namesOf(shape))}`,
    );
  }
  const nullable = columns.flatMap((column) => (column?.nullable ? [column.name] : []));
  if (nullable.length > 0) {
    return problem(`${quoted(nullable)} may be NULL`, 'set NOT NULL on it, or choose another key');
  }
  if (await hasUniqueIndex(session, qualifiedName, phase.key)) return [];
  return problem(
    `no unique index over ${quoted(phase.key)} says that these columns tell all rows apart`,
    'create one (without a condition), or leave `key` out to use the primary key',
  );
}

async function load(
  session: Session,
  phase: BackfillPhase,
  shape: TableShape,
): Promise<BackfillTable | PlanProblem> {
  try {
    const use = { ...phase, columns: addedColumns(phase).own };
    return await withSavepoint(session, () => tableOf(session, shape, use));
  } catch (error) {
    if (classifySqlError(error) === 'retryable') throw error;
    return {
      path: 'columns',
      problem: describeSqlError(error),
      fix: 'give each column a type as CREATE TABLE would take it',
    };
  }
}

function columnProblems(
  phase: BackfillPhase,
  table: BackfillTable,
  written: readonly string[],
  transform: Transform | undefined,
): PlanProblem[] {
  const where = phase.transform.kind === 'sql' ? 'transform.set' : 'transform';
  const keyNames = table.key.map((column) => column.name);
  const absent = (names: readonly string[]) => names.filter((name) => !table.columns.has(name));
  const fixAbsent = 'check its spelling, or give its type under `columns` if an earlier phase adds it';
  return [
    ...absent(transform?.reads ?? []).map((name) => ({
      path: where,
      problem: `the transform reads "${name}", which ${table.qualifiedName} does not have`,
      fix: fixAbsent,
    })),
    ...absent(written).map((name) => ({
      path: where,
      problem: `writes "${name}", which ${table.qualifiedName} does not have`,
      fix: fixAbsent,
    })),
    ...written
      .filter((name) => table.columns.get(name)?.generated)
      .map((name) => ({
        path: where,
        problem: `writes "${name}", which the database generates`,
        fix: 'leave it out',
      })),
    ...written
      .filter((name) => keyNames.includes(name))
      .map((name) => ({
        path: where,
        problem: `writes "${name}", which is part of the key that the backfill pages by`,
        fix: 'migrate into another column',
      })),
  ];
}

/** Columns that the plan says an earlier phase adds, and that none of them names. */
function promiseProblems(
  { columns, qualifiedName }: BackfillTable,
  { mayAdd }: PlannedBefore,
): PlanProblem[] {
  const absent = [...columns.values()].filter(({ name, missing }) => missing && !mayAdd(name));
  return absent.map(({ name }) => ({
    path: `columns.${name}`,
    problem: `${qualifiedName} has no column "${name}", and no earlier phase of the plan adds it`,
    fix: 'check its spelling, or add it in a schema phase before this one',
  }));
}

async function permissionProblems(
  session: Session,
  table: BackfillTable,
  written: readonly string[],
): Promise<PlanProblem[]> {
  const existing = written.filter((name) => table.columns.get(name)?.missing === false);
  const { mayRead, seesByPolicy, readOnlyColumns } = await readPrivileges(
    session,
    table.qualifiedName,
    existing,
  );
  const problems: PlanProblem[] = [];
  if (!mayRead) {
    problems.push({
      path: 'table',
      problem: `the target's role may not read ${table.qualifiedName}`,
      fix: `GRANT SELECT, UPDATE ON ${table.qualifiedName} to it`,
    });
  }
  if (seesByPolicy) {
    problems.push({
      path: 'table',
      problem: `row-level security of ${table.qualifiedName} applies to the target's role, so rows could be passed over unseen`,
      fix: 'ALTER ROLE … BYPASSRLS, or use the role that owns the table',
    });
  }
  if (readOnlyColumns.length > 0) {
    problems.push({
      path: 'table',
      problem: `the target's role may not update ${quoted(readOnlyColumns)} of ${table.qualifiedName}`,
      fix: `GRANT UPDATE ON ${table.qualifiedName} to it`,
    });
  }
  return problems;
}

function namesOf({ columns }: TableShape): string[] {
  return columns.map((column) => column.name);
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}
