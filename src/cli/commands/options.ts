import { InvalidArgumentError } from 'commander';
import type { SampleSize } from '../../domain/sample-size.ts';

/** A parser for an option that is a number from `low` to `high`. */
export function numberOption(low: number, high: number, whole = true): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if ((whole && !Number.isInteger(value)) || !(value >= low && value <= high)) {
      throw new InvalidArgumentError(`write a ${whole ? 'whole ' : ''}number from ${low} to ${high}`);
    }
    return value;
  };
}

/** Parses rows, as in `10000`, or a share of them, as in `0.5%`. */
export function sampleOption(text: string): SampleSize {
  const share = /^(\d+(?:\.\d+)?)\s*%$/.exec(text)?.[1];
  if (share !== undefined) return { percent: percentOption(share) };
  if (!/^\d+$/.test(text))
    throw new InvalidArgumentError('write a number of rows, up to 200000, or a share as in 1%');
  return { rows: numberOption(1, 200_000)(text) };
}

function percentOption(text: string): number {
  const percent = Number(text);
  if (percent > 0 && percent <= 100) return percent;
  throw new InvalidArgumentError('it must be more than 0 % and at most 100 %');
}
