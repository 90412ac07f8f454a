import { formatMs } from './duration.ts';
import type { NumberRange } from './number-range.ts';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** A number of bytes in words, with two digits that count: `512 B`, `1.4 GB`. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** `1.2 GB to 2.1 GB`; one figure where both are the same. */
export function formatByteRange(range: NumberRange): string {
  return between(range, formatBytes);
}

/** Of seconds: `3m 10s to 8m 5s`. */
export function formatSecondRange(range: NumberRange): string {
  return between(range, (seconds) => formatMs(seconds * 1_000));
}

function between({ low, high }: NumberRange, format: (value: number) => string): string {
  const [from, to] = [format(low), format(high)];
  return from === to ? from : `${from} to ${to}`;
}
