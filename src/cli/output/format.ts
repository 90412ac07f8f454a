import { formatMs } from '../../domain/duration.ts';
import { isFinal, type RunStatus } from '../../domain/run-state.ts';
import type { Style } from './style.ts';

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** `1,005` */
export function count(value: number): string {
  return whole.format(value);
}

/** `50 %`, `0.001 %` */
export function percent(value: number): string {
  return `${Number(value.toPrecision(6))} %`;
}

/** `2025-11-20 10:30:00`, in UTC, as the server keeps it. */
export function moment(iso: string | null | undefined): string {
  return iso ? iso.slice(0, 19).replace('T', ' ') : '';
}

/** Time from one moment to another, or to now. */
export function span(
  from: string | null | undefined,
  to: string | null | undefined,
  now = Date.now(),
): string {
  if (!from) return '';
  return formatMs(Math.max(0, (to ? Date.parse(to) : now) - Date.parse(from)));
}

export function statusText(style: Style, status: RunStatus): string {
  const text = status.replaceAll('_', ' ');
  if (status === 'completed') return style.green(text);
  if (isFinal(status) || status === 'rollback_held') return style.red(text);
  if (status === 'running') return style.cyan(text);
  return style.yellow(text);
}

/** One column that says at a glance how a phase stands. */
export function phaseMark(style: Style, state: string): string {
  switch (state) {
    case 'completed':
      return style.green('✓');
    case 'running':
      return style.cyan('●');
    case 'failed':
    case 'undo_failed':
      return style.red('✗');
    case 'undoing':
      return style.yellow('↶');
    case 'undone':
      return style.yellow('↶');
    default:
      return style.dim('·');
  }
}

export function verdictText(style: Style, verdict: string): string {
  if (verdict === 'pass') return style.green(verdict);
  if (verdict === 'breach' || verdict === 'fail') return style.red(verdict);
  return style.yellow(verdict);
}
