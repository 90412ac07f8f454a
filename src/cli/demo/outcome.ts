import type { ExampleSystem } from '../../../examples/index.ts';
import type { GateMeasurement } from '../../api/schemas/gates.ts';
import type { Report } from '../../api/schemas/report.ts';
import type { RunDetail } from '../../api/schemas/runs.ts';
import type { QueryResult } from '../../contracts/activities.ts';
import { addCounts, NO_ROWS } from '../../domain/counts.ts';
import type { Gate, Plan } from '../../domain/plan.ts';
import { plural } from '../../domain/plural.ts';
import { exceptionLines } from '../output/exceptions.ts';
import { count, percent, span, statusText } from '../output/format.ts';
import type { Style } from '../output/style.ts';
import { facts, indent, table } from '../output/table.ts';

/** Everything that the demo's result says of one run. */
export type Outcome = {
  system: ExampleSystem;
  run: RunDetail;
  report: Report;
  /** Results of the validation queries; undefined when the run did not get that far. */
  validation: QueryResult[] | undefined;
  /** The flag in the application's database; undefined when it is no longer there. */
  flag: { enabled: boolean; percentage: number } | undefined;
};

/** Did the run do what the plan promises: every phase completed, every validation query met? */
export function succeeded({ run, validation }: Outcome): boolean {
  return run.status === 'completed' && validation?.every((query) => query.passed) === true;
}

/** What `demo --json` prints of a run. */
export function outcomeDocument({ run, report, validation, flag }: Outcome): Record<string, unknown> {
  const { gates, exceptions } = report;
  return { run, validation: validation ?? null, gates, exceptions, flag: flag ?? null };
}

/** A table with a row per run, then what each of them did in detail. */
export function outcomeLines(style: Style, outcomes: Outcome[]): string[] {
  return [
    ...table(
      style,
      [
        { title: 'run' },
        { title: 'status' },
        ...['processed', 'migrated', 'skipped', 'ambiguous', 'failed', 'validation', 'gates', 'took'].map(
          (title) => ({ title, align: 'right' as const }),
        ),
      ],
      outcomes.map((outcome) => summaryRow(style, outcome)),
    ),
    ...outcomes.flatMap((outcome) => ['', ...detailLines(style, outcome)]),
  ];
}

function summaryRow(style: Style, { run, report, validation }: Outcome): string[] {
  const rows = report.log
    .filter(({ action }) => action === 'backfill')
    .map(({ succeeded, ...counts }) => ({ ...counts, migrated: succeeded }))
    .reduce(addCounts, NO_ROWS);
  const met = validation?.filter((query) => query.passed).length;
  return [
    style.bold(run.id),
    statusText(style, run.status),
    count(rows.processed),
    count(rows.migrated),
    count(rows.skipped),
    count(rows.ambiguous),
    count(rows.failed),
    validation ? `${met} of ${validation.length}` : 'not run',
    gatesText(style, report),
    span(run.createdAt, run.finishedAt),
  ];
}

function gatesText(style: Style, { gates }: Report): string {
  const breached = new Set(gates.filter(({ verdict }) => verdict === 'breach').map(({ gate }) => gate));
  if (breached.size > 0) return style.red(`${[...breached].join(', ')} breached`);
  return gates.length > 0 ? 'no breach' : 'not measured';
}

function detailLines(style: Style, outcome: Outcome): string[] {
  const { run, report, validation, flag, system } = outcome;
  const undone = run.phases.filter(
    ({ state, summary }) => state === 'undone' && summary !== 'nothing to undo',
  );
  return [
    style.bold(run.plan),
    ...indent([
      ...facts(style, [
        ['why', run.status === 'completed' ? undefined : (run.reason ?? undefined)],
        ['flag', `${system.flag} ${flagText(flag)}`],
        ['Web UI', run.links.webUi ?? undefined],
      ]),
      ...section(style, 'undone, in this order', [...undone].reverse().map(undoneCells)),
      ...section(
        style,
        'validation',
        (validation ?? []).map((query) => validationCells(style, query)),
      ),
      ...gateLines(style, report),
      ...(report.exceptions.length > 0
        ? ['', style.dim(`${plural(report.exceptions.length, 'row')} set aside for a person`)]
        : []),
      ...(report.exceptions.length > 0 ? indent(exceptionLines(style, report.exceptions)) : []),
    ]),
  ];
}

function flagText(flag: Outcome['flag']): string {
  if (!flag) return 'removed by the cleanup';
  return `at ${percent(flag.percentage)}, ${flag.enabled ? 'enabled' : 'disabled'}`;
}

function undoneCells(phase: RunDetail['phases'][number]): string[] {
  return [phase.name, phase.summary ?? ''];
}

function validationCells(style: Style, query: QueryResult): string[] {
  const mark = query.informational ? style.dim('i') : query.passed ? style.green('✓') : style.red('✗');
  const [only] = query.sample;
  // A single row says more than that it is one.
  const values = query.informational && query.sample.length === 1 && only ? rowText(only) : undefined;
  return [`${mark} ${query.name}`, values ?? query.found];
}

function rowText(row: Record<string, unknown>): string {
  return Object.entries(row)
    .map(([column, value]) => `${column} ${value}`)
    .join('; ');
}

/** Each gate's last value at each stage, and its limit. */
function gateLines(style: Style, { gates, plan }: Report): string[] {
  if (gates.length === 0) return [];
  const stages = [...new Set(gates.map(stageOf))];
  const names = [...new Set(watchedGates(plan.document).map(({ name }) => name))];
  const last = new Map(gates.map((gate) => [`${stageOf(gate)} ${gate.gate}`, gate]));
  const rows = names.map((name) => {
    const limits = watchedGates(plan.document).find((gate) => gate.name === name);
    const cells = stages.map((stage) => gateCell(style, last.get(`${stage} ${name}`), limits?.unit ?? ''));
    return [name, ...cells, limits ? `${limits.op} ${limits.threshold}${limits.unit}` : ''];
  });
  const right = stages.map((title) => ({ title, align: 'right' as const }));
  return ['', ...table(style, [{ title: 'gates' }, ...right, { title: 'limit' }], rows)];
}

function stageOf(gate: GateMeasurement): string {
  return gate.phase === 'soak' ? 'soak' : percent(gate.percentage);
}

function watchedGates(plan: Plan): Gate[] {
  return plan.phases.flatMap((phase) => ('gates' in phase ? phase.gates : []));
}

function gateCell(style: Style, gate: GateMeasurement | undefined, unit: string): string {
  if (!gate) return '';
  const value = gate.value === null ? 'no data' : `${Number(gate.value.toPrecision(4))}${unit}`;
  if (gate.verdict === 'breach') return style.red(`✗ ${value}`);
  return gate.verdict === 'pass' ? value : style.yellow(value);
}

function section(style: Style, title: string, rows: string[][]): string[] {
  if (rows.length === 0) return [];
  const columns = (rows[0] ?? []).map(() => ({ title: '' }));
  // The first line of the table holds its titles, and these columns need none.
  return ['', style.dim(title), ...indent(table(style, columns, rows).slice(1))];
}
