import type { ExampleSystem } from '../../../examples/index.ts';
import type { Report } from '../../api/schemas/report.ts';
import type { RunDetail } from '../../api/schemas/runs.ts';
import type { QueryResult } from '../../contracts/activities.ts';
import { addCounts, NO_ROWS } from '../../domain/counts.ts';
import { exceptionLines } from '../output/exceptions.ts';
import { count, percent, plural, span, statusText, verdictText } from '../output/format.ts';
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
  const rows = run.phases.map((phase) => phase.progress?.counts ?? NO_ROWS).reduce(addCounts, NO_ROWS);
  const breaches = report.gates.filter((gate) => gate.verdict === 'breach').length;
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
    breaches > 0
      ? style.red(plural(breaches, 'breach').replace('breachs', 'breaches'))
      : `${count(report.gates.length)} passed`,
    span(run.createdAt, run.finishedAt),
  ];
}

function detailLines(style: Style, outcome: Outcome): string[] {
  const { run, report, validation, flag, system } = outcome;
  const undone = run.phases.filter((phase) => phase.state === 'undone');
  return [
    style.bold(run.plan),
    ...indent([
      ...facts(style, [
        [
          run.status === 'completed' ? 'result' : 'why',
          run.status === 'completed' ? undefined : (run.reason ?? ''),
        ],
        ['flag', `${system.flag} ${flagText(flag)}`],
        ['Web UI', run.links.webUi ?? undefined],
      ]),
      ...section(style, 'undone, in this order', [...undone].reverse().map(undoneCells)),
      ...section(
        style,
        'validation',
        (validation ?? []).map((query) => validationCells(style, query)),
      ),
      ...section(style, 'gates', gateCells(style, report)),
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
  return [`${mark} ${query.name}`, query.found];
}

/** The last measurement of each gate, and each breach. */
function gateCells(style: Style, report: Report): string[][] {
  const last = new Map(report.gates.map((gate) => [`${gate.phase} ${gate.gate}`, gate]));
  return [...last.values()].map((gate) => [
    gate.gate,
    `${gate.phase}, ${percent(gate.percentage)}`,
    verdictText(style, gate.verdict),
    gate.reason,
  ]);
}

function section(style: Style, title: string, rows: string[][]): string[] {
  if (rows.length === 0) return [];
  const columns = (rows[0] ?? []).map(() => ({ title: '' }));
  // The first line of the table holds its titles, and these columns need none.
  return ['', style.dim(title), ...indent(table(style, columns, rows).slice(1))];
}
