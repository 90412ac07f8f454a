import type { WeightedVariant } from './definition.ts';

/** All buckets; one is 0.001 %. */
export const TOTAL_WEIGHT = 100_000;
const BUCKETS_PER_PERCENT = TOTAL_WEIGHT / 100;

/**
 * @param percentage 0 to 100, in steps of 0.001.
 * @throws RangeError for anything else.
 */
export function weightOf(percentage: number): number {
  const weight = Math.round(percentage * BUCKETS_PER_PERCENT);
  if (!(percentage >= 0 && percentage <= 100)) {
    throw new RangeError(`${percentage} is no percentage; it goes from 0 to 100`);
  }
  if (weight / BUCKETS_PER_PERCENT !== percentage) {
    throw new RangeError(`${percentage} % is finer than flags can split; the smallest step is 0.001 %`);
  }
  return weight;
}

/** Share of all buckets in per cent. */
export function percentageOf(weights: readonly WeightedVariant[], variant: string): number {
  return weightWithin(weights, variant) / BUCKETS_PER_PERCENT;
}

/**
 * A rollout of two variants, the new one first: whoever has it at some percentage has it at every larger one.
 * @throws RangeError when the percentage is none.
 */
export function rolloutWeights(
  newVariant: string,
  oldVariant: string,
  percentage: number,
): WeightedVariant[] {
  const weight = weightOf(percentage);
  return [
    { variant: newVariant, weight },
    { variant: oldVariant, weight: TOTAL_WEIGHT - weight },
  ];
}

/**
 * Changes the weight of one variant, at the expense or for the benefit of another. Growing takes the first buckets of the
 * other, shrinking gives back the last that were taken: so cohorts are nested, and only users between these two move,
 * however many variants there are.
 * @throws RangeError when `from` has too few buckets, or the weight is none.
 */
export function resize(
  weights: readonly WeightedVariant[],
  change: { variant: string; from: string; to: number },
): WeightedVariant[] {
  const { variant, from, to } = change;
  const present = weightWithin(weights, variant);
  const available = present + weightWithin(weights, from);
  if (!(Number.isInteger(to) && to >= 0 && to <= available)) {
    throw new RangeError(
      `variant "${variant}" cannot have the weight ${to}; it has ${present}, and "${from}" leaves it at most ${available}`,
    );
  }
  return to >= present
    ? takeFirst(weights, { giver: from, taker: variant, amount: to - present })
    : takeFirst(weights.toReversed(), { giver: variant, taker: from, amount: present - to }).toReversed();
}

function takeFirst(
  weights: readonly WeightedVariant[],
  { giver, taker, amount }: { giver: string; taker: string; amount: number },
): WeightedVariant[] {
  const result: WeightedVariant[] = [];
  const append = (variant: string, weight: number) => {
    const last = result.at(-1);
    if (weight === 0) return;
    if (last?.variant === variant) last.weight += weight;
    else result.push({ variant, weight });
  };
  let left = amount;
  for (const { variant, weight } of weights) {
    const taken = variant === giver ? Math.min(weight, left) : 0;
    left -= taken;
    append(taker, taken);
    append(variant, weight - taken);
  }
  return result;
}

function weightWithin(weights: readonly WeightedVariant[], variant: string): number {
  return weights.reduce((sum, entry) => sum + (entry.variant === variant ? entry.weight : 0), 0);
}
