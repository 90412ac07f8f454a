import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { stringify } from 'yaml';
import type { PlanDetail, PlanList, RegisteredPlan } from '../../api/schemas/plans.ts';
import { lintPlanDdl, type PlacedFinding } from '../../ddl-lint/lint-plan.ts';
import type { Plan } from '../../domain/plan.ts';
import type { PlanProblem } from '../../domain/plan-problem.ts';
import { plural } from '../../domain/plural.ts';
import { planHash } from '../../plan/hash.ts';
import { planJsonSchema } from '../../plan/json-schema.ts';
import { loadPlanFile } from '../../plan/load.ts';
import { PlanRefused, parsePlan } from '../../plan/parse.ts';
import type { Cli, Register } from '../cli.ts';
import { CliError, EXIT } from '../exit.ts';
import { moment } from '../output/format.ts';
import { facts, indent, table } from '../output/table.ts';
import { numberOption } from './options.ts';

export const registerPlan: Register = (program, action) => {
  const plan = program.command('plan').description('check, show and register plans');

  plan
    .command('lint')
    .description('check a plan file; lists every problem at once')
    .argument('<file>', '.yaml, .json, .ts or .js')
    .action(action<[string]>(lint));

  plan
    .command('schema')
    .description('print the JSON Schema of a plan, for editors that check YAML')
    .action(
      action<[]>(async (cli) => {
        cli.out.lines(JSON.stringify(planJsonSchema(), null, 2));
        return EXIT.ok;
      }),
    );

  plan
    .command('show')
    .description('print a plan with its defaults filled in, from a file or from the server')
    .argument('<file-or-name>')
    .option('--version <number>', 'version on the server; the latest unless given', numberOption(1, 1e9))
    .action(action<[string], { version?: number }>(show));

  plan
    .command('register')
    .description('store a plan file on the server; the same document again is the same version')
    .argument('<file>')
    .action(action<[string]>(register));

  plan.command('list').description('list the plans on the server').action(action<[]>(list));
};

async function lint(cli: Cli, [file]: [string]) {
  const { plan, problems, findings } = await check(file);
  cli.out.result(
    plan
      ? { valid: true, name: plan.name, hash: planHash(plan), problems, findings }
      : { valid: false, problems, findings },
    () =>
      plan
        ? [
            `${cli.out.style.green('✓')} ${plan.name}: ${plural(plan.phases.length, 'phase')}, nothing to object to`,
            ...findingLines(cli, findings),
          ]
        : problemLines(cli, file, problems),
  );
  return plan ? EXIT.ok : EXIT.failed;
}

type Checked = { plan?: Plan; problems: PlanProblem[]; findings: PlacedFinding[] };

/** As the server checks a plan that is registered, all but its target. */
async function check(file: string): Promise<Checked> {
  try {
    const plan = parsePlan(await loadPlanFile(file));
    const { findings, problems } = await lintPlanDdl(plan);
    return problems.length > 0 ? { problems, findings } : { plan, problems, findings };
  } catch (error) {
    if (error instanceof PlanRefused) return { problems: error.problems, findings: [] };
    throw error;
  }
}

/** What the DDL linter found that does not stand in the way: accepted, or advice. */
function findingLines(cli: Cli, findings: PlacedFinding[]): string[] {
  const { style } = cli.out;
  return findings.flatMap(({ path, severity, rule, message, help, waivedBecause }) => [
    '',
    `  ${style.bold(path)}: ${waivedBecause === undefined ? severity : 'waived'} ${rule}`,
    `    ${style.dim(waivedBecause ?? [message, help].filter(Boolean).join(' '))}`,
  ]);
}

function problemLines(cli: Cli, file: string, problems: PlanProblem[]): string[] {
  const { style } = cli.out;
  return [
    `${style.red('✗')} ${file}: ${plural(problems.length, 'problem')}`,
    ...problems.flatMap(({ path, problem, fix }) => [
      '',
      `  ${style.bold(path || '(document)')}: ${problem}`,
      `    ${style.dim(fix)}`,
    ]),
  ];
}

/** @throws CliError with every problem of the plan. */
async function readPlan(file: string): Promise<Plan> {
  const { plan, problems } = await check(file);
  if (plan) return plan;
  throw new CliError(`${file} is no plan that can be used`, {
    exitCode: EXIT.failed,
    details: problems.map(({ path, problem, fix }) => `${path || '(document)'}: ${problem}; ${fix}`),
    next: `mend the file and check it with \`cutover plan lint ${file}\``,
    problem: { problems },
  });
}

async function show(cli: Cli, [what]: [string], options: { version?: number }) {
  if (existsSync(what) || extname(what)) {
    const plan = await readPlan(what);
    showPlan(cli, { name: plan.name, hash: planHash(plan), document: plan }, []);
    return EXIT.ok;
  }
  const client = cli.client();
  const query = options.version === undefined ? '' : `?version=${options.version}`;
  const detail = await client.get<PlanDetail>(`/api/plans/${encodeURIComponent(what)}${query}`);
  showPlan(cli, detail, [
    ['version', String(detail.version)],
    ['registered', `${moment(detail.registeredAt)} by ${detail.registeredBy}`],
  ]);
  return EXIT.ok;
}

function showPlan(
  cli: Cli,
  plan: { name: string; hash: string; document: Plan },
  known: [string, string][],
): void {
  const { style } = cli.out;
  cli.out.result(plan, () => [
    ...facts(style, [['plan', style.bold(plan.name)], ...known, ['hash', plan.hash]]),
    '',
    ...indent(stringify(plan.document, { lineWidth: 100 }).trimEnd().split('\n')),
  ]);
}

async function register(cli: Cli, [file]: [string]) {
  const plan = await readPlan(file);
  const registered = await cli.client().post<RegisteredPlan>('/api/plans', plan);
  const { style } = cli.out;
  cli.out.result(registered, () => [
    `${style.green('✓')} ${registered.name} is registered as version ${registered.version} ${style.dim(registered.hash.slice(0, 12))}`,
    `${style.dim('next:')} cutover dry-run ${registered.name}`,
  ]);
  return EXIT.ok;
}

async function list(cli: Cli) {
  const answer = await cli.client().get<PlanList>('/api/plans');
  cli.out.result(answer, () =>
    answer.plans.length === 0
      ? ['No plan is registered. Register one with `cutover plan register <file>`.']
      : table(
          cli.out.style,
          [{ title: 'plan' }, { title: 'version', align: 'right' }, { title: 'target' }, { title: 'phases' }],
          answer.plans.map((plan) => [
            plan.name,
            String(plan.version),
            plan.target,
            plan.phases.map((phase) => phase.name).join(' → '),
          ]),
        ),
  );
  return EXIT.ok;
}
