import { ApplicationFailure } from '@temporalio/activity';
import { FAILURE } from '../contracts/errors.ts';
import { lintPlanDdl } from '../ddl-lint/lint-plan.ts';
import type {
  BackfillPhase,
  BackupPhase,
  FlagReference,
  Gate,
  Phase,
  Plan,
  SyncPhase,
  ValidationQuery,
  VerifyPhase,
} from '../domain/plan.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';
import { loadProblems } from '../engine/load/problems.ts';
import { checkQuery, isAddedBy } from '../engine/preflight/plan-queries.ts';
import { preflightBackfill } from '../engine/preflight/preflight.ts';
import { preflightSync } from '../engine/sync/problems.ts';
import { verifyProblems } from '../engine/verify/problems.ts';
import { createTableFlagStore } from '../flags/table-flag-store.ts';
import { describeTable } from '../targets/postgres/catalog.ts';
import { classifySqlError } from '../targets/postgres/errors.ts';
import { singleStatement } from '../targets/postgres/single-statement.ts';
import type { Target } from '../targets/target.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';

export function preflightActivities(dependencies: Dependencies) {
  const findProblems = async ({ plan }: { plan: Plan }): Promise<PlanProblem[]> => {
    const target = targetNamed(dependencies, plan.target);
    // A plan may have been registered before the linter knew a rule, or without it.
    const problems = [...(await lintPlanDdl(plan)).problems];
    for (const [index, phase] of plan.phases.entries()) {
      const earlier = plan.phases.slice(0, index);
      const path = `phases[${index}]`;
      problems.push(...(await phaseProblems(dependencies, target, phase, path, earlier)));
      if (phase.kind === 'verify') problems.push(...verificationProblems(dependencies, phase, path, earlier));
      if (phase.kind === 'sync') problems.push(...(await syncProblems(target, phase, path, plan, earlier)));
    }
    return problems;
  };
  return {
    findProblems,

    preflight: async (input: { plan: Plan }): Promise<void> => {
      const problems = await findProblems(input);
      if (problems.length === 0) return;
      throw ApplicationFailure.create({
        type: FAILURE.preflightRefused,
        message: problems.map(({ path, problem, fix }) => `${path}: ${problem}; ${fix}`).join('\n'),
        nonRetryable: true,
        details: [problems],
      });
    },
  };
}

async function phaseProblems(
  dependencies: Dependencies,
  target: Target,
  phase: Phase,
  path: string,
  earlier: Phase[],
): Promise<PlanProblem[]> {
  switch (phase.kind) {
    case 'schema':
      return [...statementProblems(phase.up, `${path}.up`), ...statementProblems(phase.down, `${path}.down`)];
    case 'cleanup':
      return statementProblems(phase.statements, `${path}.statements`);
    case 'backup':
      return backupProblems(target, phase, path, earlier);
    case 'backfill':
      return backfillProblems(dependencies, target, phase, path, earlier);
    case 'validate':
      return queryProblems(target, phase.queries, `${path}.queries`, earlier);
    case 'rollout':
    case 'soak':
      return [
        ...(await gateProblems(target, phase.gates, `${path}.gates`, earlier)),
        ...(await flagProblems(target, phase.flag, path, earlier)),
      ];
    case 'approval':
    case 'sync':
    case 'verify':
      return [];
  }
}

function statementProblems(statements: string[], path: string): PlanProblem[] {
  return statements.flatMap((sql, index) => {
    const fix = 'write one statement per item of the list';
    return problemOf(() => singleStatement(sql), `${path}[${index}]`, fix);
  });
}

function queryProblems(
  target: Target,
  queries: ValidationQuery[],
  path: string,
  earlier: Phase[],
): Promise<PlanProblem[]> {
  return sqlProblems(target, queries, path, earlier, {
    parameters: { run_id: '' },
    fix: 'write one statement that reads; :run_id is bound',
  });
}

function gateProblems(target: Target, gates: Gate[], path: string, earlier: Phase[]): Promise<PlanProblem[]> {
  return sqlProblems(target, gates, path, earlier, {
    parameters: GATE_PARAMETERS,
    fix: 'write one statement that reads; :since, :percentage and :run_id are bound',
  });
}

/** What is planned only, so that any values of their types do. */
export const GATE_PARAMETERS = { since: new Date(0), percentage: 0, run_id: '' };

/** A query that needs what an earlier phase adds is no problem; it can't be judged yet. */
async function sqlProblems(
  target: Target,
  queries: { sql: string }[],
  path: string,
  earlier: Phase[],
  { parameters, fix }: { parameters: Record<string, unknown>; fix: string },
): Promise<PlanProblem[]> {
  const problems: PlanProblem[] = [];
  for (const [index, { sql }] of queries.entries()) {
    const check = await checkQuery(target, sql, parameters, earlier);
    if (check.kind === 'wrong') problems.push({ path: `${path}[${index}].sql`, problem: check.why, fix });
  }
  return problems;
}

function verificationProblems(
  { transforms }: Dependencies,
  phase: VerifyPhase,
  path: string,
  earlier: Phase[],
): PlanProblem[] {
  const backfill = earlier.find((other) => other.kind === 'backfill' && other.name === phase.backfill);
  if (backfill?.kind !== 'backfill') return [];
  return verifyProblems(backfill, transforms).map((problem) => ({
    ...problem,
    path: `${path}.${problem.path}`,
  }));
}

/** A table that an earlier phase creates takes triggers as any other does. */
async function syncProblems(
  target: Target,
  phase: SyncPhase,
  path: string,
  { phases }: Plan,
  earlier: Phase[],
): Promise<PlanProblem[]> {
  const backfill = phases.find((other) => other.kind === 'backfill' && other.name === phase.backfill);
  if (backfill?.kind !== 'backfill' || createdBy(earlier, backfill.table)) return [];
  const problems = await preflightSync(target, phase, backfill);
  return problems.map((problem) => ({ ...problem, path: `${path}.${problem.path}` }));
}

async function backupProblems(
  target: Target,
  phase: BackupPhase,
  path: string,
  earlier: Phase[],
): Promise<PlanProblem[]> {
  const problems: PlanProblem[] = [];
  for (const [index, { table }] of phase.tables.entries()) {
    if (createdBy(earlier, table)) continue;
    const shape = await target.transaction({ readOnly: true }, (session) => describeTable(session, table));
    if (shape) continue;
    const fix = 'check its spelling, its schema, and that the target is the right database';
    problems.push({
      path: `${path}.tables[${index}].table`,
      problem: `the target has no table "${table}"`,
      fix,
    });
  }
  return problems;
}

async function backfillProblems(
  { transforms }: Dependencies,
  target: Target,
  phase: BackfillPhase,
  path: string,
  earlier: Phase[],
): Promise<PlanProblem[]> {
  if (createdBy(earlier, phase.table)) return [];
  const { transform } = phase;
  const intoIsPlanned = transform.kind === 'insert' && createdBy(earlier, transform.into);
  const problems = [
    ...(await preflightBackfill(target, phase, transforms, {
      intoIsPlanned,
      mayAdd: (column) => isAddedBy(earlier, column),
    })),
    ...(await loadProblems(target, phase)),
  ];
  return [
    ...problems.map((problem) => ({ ...problem, path: problem.path ? `${path}.${problem.path}` : path })),
    ...(await probeProblems(target, phase, `${path}.throttle`, earlier)),
  ];
}

async function probeProblems(
  target: Target,
  { throttle }: BackfillPhase,
  path: string,
  earlier: Phase[],
): Promise<PlanProblem[]> {
  const problems = await Promise.all(
    throttle.map(async (signal, index) => {
      if (signal.kind !== 'sql') return [];
      const check = await checkQuery(target, signal.sql, {}, earlier);
      const fix = 'write one statement that reads and returns one number';
      return check.kind === 'wrong' ? [{ path: `${path}[${index}].sql`, problem: check.why, fix }] : [];
    }),
  );
  return problems.flat();
}

async function flagProblems(
  target: Target,
  flag: FlagReference,
  path: string,
  earlier: Phase[],
): Promise<PlanProblem[]> {
  // A schema phase of the same plan may be what adds the flag.
  const addedByPlan = earlier.some(
    (phase) => phase.kind === 'schema' && phase.up.some((sql) => sql.includes(flag.name)),
  );
  if (addedByPlan || createdBy(earlier, flag.table)) return [];
  try {
    if (await createTableFlagStore(target, flag.table).read(flag.name)) return [];
    const fix = `add its row to ${flag.table}, or correct the name`;
    return [{ path: `${path}.flag.name`, problem: `there is no flag "${flag.name}" in ${flag.table}`, fix }];
  } catch (error) {
    if (classifySqlError(error) === 'retryable') throw error;
    const fix = 'name a table with columns name, enabled and rollout_percentage';
    return [{ path: `${path}.flag.table`, problem: (error as Error).message, fix }];
  }
}

/** Does an earlier schema phase create the table, so that it need not be there yet? */
function createdBy(earlier: Phase[], table: string): boolean {
  const name = table
    .replace(/^.*\./, '')
    .replaceAll('"', '')
    .replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const creation = new RegExp(`^\\s*create\\s+(unlogged\\s+)?table\\s[^(]*\\b${name}\\b`, 'i');
  return earlier.some((phase) => phase.kind === 'schema' && phase.up.some((sql) => creation.test(sql)));
}

function problemOf(check: () => unknown, path: string, fix: string): PlanProblem[] {
  try {
    check();
    return [];
  } catch (error) {
    return [{ path, problem: (error as Error).message, fix }];
  }
}
