import { ApplicationFailure } from '@temporalio/activity';
import { FAILURE } from '../contracts/errors.ts';
import type {
  BackfillPhase,
  BackupPhase,
  FlagReference,
  Gate,
  Phase,
  Plan,
  ValidatePhase,
} from '../domain/plan.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';
import { preflightBackfill } from '../engine/preflight.ts';
import { createTableFlagStore } from '../flags/table-flag-store.ts';
import { describeTable } from '../targets/postgres/catalog.ts';
import { classifySqlError } from '../targets/postgres/errors.ts';
import { bindNamedParameters } from '../targets/postgres/named-parameters.ts';
import { singleStatement } from '../targets/postgres/single-statement.ts';
import type { Target } from '../targets/target.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';

export function preflightActivities(dependencies: Dependencies) {
  const findProblems = async ({ plan }: { plan: Plan }): Promise<PlanProblem[]> => {
    const target = targetNamed(dependencies, plan.target);
    const problems: PlanProblem[] = [];
    for (const [index, phase] of plan.phases.entries()) {
      const earlier = plan.phases.slice(0, index);
      problems.push(...(await phaseProblems(dependencies, target, phase, `phases[${index}]`, earlier)));
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
      return queryProblems(phase, path);
    case 'rollout':
    case 'soak':
      return [...gateProblems(phase.gates, path), ...(await flagProblems(target, phase.flag, path, earlier))];
    case 'approval':
      return [];
  }
}

function statementProblems(statements: string[], path: string): PlanProblem[] {
  return statements.flatMap((sql, index) => {
    const fix = 'write one statement per item of the list';
    return problemOf(() => singleStatement(sql), `${path}[${index}]`, fix);
  });
}

function queryProblems(phase: ValidatePhase, path: string): PlanProblem[] {
  return phase.queries.flatMap(({ sql }, index) =>
    problemOf(
      () => bindNamedParameters(singleStatement(sql), { run_id: '' }),
      `${path}.queries[${index}].sql`,
      'write one statement; :run_id is bound',
    ),
  );
}

function gateProblems(gates: Gate[], path: string): PlanProblem[] {
  return gates.flatMap(({ sql }, index) =>
    problemOf(
      () => bindNamedParameters(singleStatement(sql), { since: '', percentage: 0, run_id: '' }),
      `${path}.gates[${index}].sql`,
      'write one statement; :since, :percentage and :run_id are bound',
    ),
  );
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
  const problems = await preflightBackfill(target, phase, transforms);
  return problems.map((problem) => ({ ...problem, path: problem.path ? `${path}.${problem.path}` : path }));
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
