import { InvalidArgumentError } from 'commander';

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
