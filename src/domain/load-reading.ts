import { durationMs, formatMs } from './duration.ts';
import type { Measurement } from './gate-verdict.ts';
import type { LoadSignal } from './load-signal.ts';
import { plural } from './plural.ts';

/** A signal as it was measured. */
export type LoadReading = {
  signal: LoadSignal;
  measured: Measurement;
};

/** Name by which a signal is shown and told from the others: its kind, or the name that the plan gives a probe. */
export function signalName(signal: LoadSignal): string {
  return signal.kind === 'sql' || signal.kind === 'http' ? signal.name : signal.kind;
}

/** The limit as a number in the unit in which the signal is measured; durations in milliseconds. */
export function limitOf(signal: LoadSignal): number {
  switch (signal.kind) {
    case 'replication-lag':
    case 'oldest-xmin':
      return durationMs(signal.limit);
    case 'wraparound-vacuum':
      return 0;
    default:
      return signal.limit;
  }
}

/** What was measured, and how far it may go: `replication lag 12s, limit 10s`. */
export function readingInWords({ signal, measured }: LoadReading): string {
  if (measured.kind !== 'value') {
    const why = measured.kind === 'error' ? measured.message : 'nothing was measured';
    return `${signalName(signal)} cannot be measured: ${why}`;
  }
  const { value } = measured;
  if (signal.kind === 'wraparound-vacuum') {
    return value > 0
      ? 'autovacuum is at work on the table to prevent wraparound'
      : 'no autovacuum against wraparound';
  }
  return `${valueInWords(signal, value)}, limit ${amount(signal, limitOf(signal))}`;
}

function valueInWords(signal: LoadSignal, value: number): string {
  switch (signal.kind) {
    case 'replication-lag':
      return `replication lag ${amount(signal, value)}`;
    case 'lock-waiters':
      return `${plural(value, 'session waits', 'sessions wait')} for locks on the table`;
    case 'wal-rate':
      return `WAL ${amount(signal, value)}`;
    case 'archive-backlog':
      return `${plural(value, 'WAL segment')} to be archived`;
    case 'dead-tuples':
      return `${amount(signal, value)} of the rows dead`;
    case 'oldest-xmin':
      return `oldest transaction ${amount(signal, value)}`;
    case 'sql':
    case 'http':
      return `${signal.name} ${amount(signal, value)}`;
    case 'wraparound-vacuum':
      return '';
  }
}

function amount(signal: LoadSignal, value: number): string {
  switch (signal.kind) {
    case 'replication-lag':
    case 'oldest-xmin':
      return formatMs(value);
    case 'wal-rate':
      return `${round(value / 1_000_000)} MB/s`;
    case 'dead-tuples':
      return `${round(value * 100)} %`;
    case 'http':
      return `${round(value)}${signal.path === undefined ? ' ms' : unit(signal.unit)}`;
    case 'sql':
      return `${round(value)}${unit(signal.unit)}`;
    default:
      return String(round(value));
  }
}

function unit(given: string): string {
  return given === '' ? '' : ` ${given}`;
}

function round(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(3));
}
