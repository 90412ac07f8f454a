import type { DryRunPhaseReport } from '../../contracts/activities.ts';
import { clip, type Style } from './style.ts';
import { indent, table } from './table.ts';

const SHOWN = 5;

/** What a dry run found, a line per phase, and the rows that would be set aside. */
export function dryRunLines(style: Style, report: Record<string, unknown>): string[] {
  const phases = phasesOf(report);
  return [
    ...table(
      style,
      [{ title: 'phase' }, { title: 'kind' }, { title: 'what would happen' }],
      phases.map((phase) => [phase.name, style.dim(phase.kind), phase.summary]),
    ),
    ...phases.flatMap((phase) => setAside(style, phase)),
    '',
    style.dim('Nothing was written. `--json` has samples of rows before and after.'),
  ];
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
