import type { DryRunPhaseReport } from '../../contracts/activities.ts';
import type { PlanProblem } from '../../domain/plan-problem.ts';
import { plural } from '../../domain/plural.ts';
import { clip, type Style } from './style.ts';
import { indent, table } from './table.ts';

const SHOWN = 5;
const TOUCHES_DATA = new Set(['schema', 'backup', 'backfill', 'validate', 'cleanup']);

/**
 * What a dry run found, a line per phase, and the rows that would be set aside.
 * @param options.short leaves out those rows and the phases whose plan says it all.
 */
export function dryRunLines(
  style: Style,
  report: Record<string, unknown>,
  { short = false }: { short?: boolean } = {},
): string[] {
  const phases = phasesOf(report);
  const problems = problemsOf(report);
  if (problems.length > 0) {
    return [
      `${style.red('✗')} the plan cannot run on this target`,
      ...problems.map(({ path, problem, fix }) => `  ${path}: ${problem}; ${fix}`),
    ];
  }
  return [
    ...table(
      style,
      [{ title: 'phase' }, { title: 'kind' }, { title: 'what would happen' }],
      (short ? phases.filter(({ kind }) => TOUCHES_DATA.has(kind)) : phases).map((phase) => [
        phase.name,
        style.dim(phase.kind),
        phase.summary,
      ]),
    ),
    ...(short ? [] : details(style, phases)),
  ];
}

function details(style: Style, phases: DryRunPhaseReport[]): string[] {
  return [
    ...phases.flatMap((phase) => [...setAside(style, phase), ...findings(style, phase)]),
    '',
    style.dim('Nothing was written. `--json` has samples of rows before and after.'),
  ];
}

/** What stands in the way of the plan on its target; empty when it could run. */
export function problemsOf(report: Record<string, unknown>): PlanProblem[] {
  return Array.isArray(report.problems) ? (report.problems as PlanProblem[]) : [];
}

export function phasesOf(report: Record<string, unknown>): DryRunPhaseReport[] {
  return Array.isArray(report.phases) ? (report.phases as DryRunPhaseReport[]) : [];
}

function setAside(style: Style, phase: DryRunPhaseReport): string[] {
  const lines = ['ambiguous', 'failed', 'errors'].flatMap((kind) => {
    const rows = phase.details[kind];
    if (!Array.isArray(rows) || rows.length === 0) return [];
    const shown = rows.slice(0, SHOWN).map((row: { key?: unknown; reason?: unknown }) => {
      const key = Array.isArray(row.key) ? row.key.join(', ') : String(row.key);
      return `${style.dim(key)}  ${clip(String(row.reason), 120)}`;
    });
    const more = rows.length > SHOWN ? [style.dim(`and ${rows.length - SHOWN} more`)] : [];
    return ['', `${phase.name}: ${kind}`, ...indent([...shown, ...more])];
  });
  return lines;
}

type Lossy = {
  column: string;
  loss: string;
  rows: number;
  samples: { key: unknown[]; from: string; to: string }[];
};
type Violation = { constraint: string; kind: string; rows: number; keys: unknown[][] };
type Nulls = { column: string; rows: number; keys: unknown[][] };

/** What would be lost, which constraints rows fail by, and which values become NULL. */
function findings(style: Style, { name, details }: DryRunPhaseReport): string[] {
  const keys = (found: unknown[][]) => style.dim(`as in ${found.map((key) => key.join(', ')).join('; ')}`);
  const lines = [
    ...listOf<Violation>(details.violations).map(
      ({ constraint, kind, rows, keys: found }) =>
        `${plural(rows, 'row')} would fail by ${kind} "${constraint}", ${keys(found)}`,
    ),
    ...listOf<Lossy>(details.lossy).flatMap(({ column, loss, rows, samples }) => [
      `${plural(rows, 'value')} of "${column}" would be ${loss}`,
      ...samples.map(({ key, from, to }) =>
        style.dim(`  ${key.join(', ')}: ${clip(from, 50)} → ${clip(to, 50)}`),
      ),
    ]),
    ...listOf<Nulls>(details.nulls).map(
      ({ column, rows, keys: found }) =>
        `"${column}" would become NULL in ${plural(rows, 'row')}, ${keys(found)}`,
    ),
  ];
  return lines.length === 0 ? [] : ['', `${name}: findings`, ...indent(lines)];
}

function listOf<T>(value: unknown): T[] {
  return Array.isArray(value) ? value : [];
}
