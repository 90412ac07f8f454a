import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WeightedVariant } from '../../../src/domain/flags/definition.ts';
import {
  percentageOf,
  resize,
  rolloutWeights,
  TOTAL_WEIGHT,
  weightOf,
} from '../../../src/domain/flags/weights.ts';

/** Which variant each bucket has. */
const bucketsOf = (weights: readonly WeightedVariant[]) =>
  weights.flatMap(({ variant, weight }) => Array.from({ length: weight }, () => variant));

describe('weightOf', () => {
  it('takes every step of 0.001 % for one bucket', () => {
    const all = Array.from({ length: TOTAL_WEIGHT + 1 }, (_, weight) => weight);
    expect(all.filter((weight) => weightOf(weight / 1000) !== weight)).toEqual([]);
  });

  it.each([-0.001, 100.001, Number.NaN, Number.POSITIVE_INFINITY])('refuses %d', (percentage) => {
    expect(() => weightOf(percentage)).toThrow(/is no percentage; it goes from 0 to 100/);
  });

  it('refuses what is finer than a bucket', () => {
    expect(() => weightOf(0.0005)).toThrow(/finer than flags can split/);
  });
});

describe('rolloutWeights', () => {
  it('puts the new variant first', () => {
    expect(rolloutWeights('new', 'old', 12.345)).toEqual([
      { variant: 'new', weight: 12_345 },
      { variant: 'old', weight: 87_655 },
    ]);
    expect(percentageOf(rolloutWeights('new', 'old', 12.345), 'new')).toBe(12.345);
  });
});

describe('resize', () => {
  const variant = fc.constantFrom('a', 'b', 'c');
  const weights = fc.array(fc.record({ variant, weight: fc.integer({ min: 0, max: 20 }) }), { minLength: 1 });

  it('moves no bucket but between the two variants, nested both ways', () => {
    fc.assert(
      fc.property(weights, variant, variant, fc.nat(200), (before, grown, from, wanted) => {
        fc.pre(grown !== from);
        const count = (name: string) => bucketsOf(before).filter((bucket) => bucket === name).length;
        const to = Math.min(wanted, count(grown) + count(from));
        const after = bucketsOf(resize(before, { variant: grown, from, to }));
        expect(after.filter((bucket) => bucket === grown)).toHaveLength(to);
        const [giver, taker] = to >= count(grown) ? [from, grown] : [grown, from];
        for (const [i, bucket] of bucketsOf(before).entries()) {
          if (bucket !== after[i]) expect([bucket, after[i]]).toEqual([giver, taker]);
        }
      }),
    );
  });

  it('gives back exactly what it took', () => {
    fc.assert(
      fc.property(weights, fc.nat(200), (before, wanted) => {
        const count = (name: string) => bucketsOf(before).filter((bucket) => bucket === name).length;
        // Other variants keep their places; `a` must come before `b`, as in a rollout.
        fc.pre(bucketsOf(before).lastIndexOf('a') < bucketsOf(before).indexOf('b'));
        const to = Math.min(count('a') + wanted, count('a') + count('b'));
        const grown = resize(before, { variant: 'a', from: 'b', to });
        const back = resize(grown, { variant: 'a', from: 'b', to: count('a') });
        expect(bucketsOf(back)).toEqual(bucketsOf(before));
      }),
    );
  });

  it('refuses more than there is', () => {
    const weights = rolloutWeights('new', 'old', 50);
    expect(() => resize(weights, { variant: 'new', from: 'old', to: TOTAL_WEIGHT + 1 })).toThrow(
      'variant "new" cannot have the weight 100001; it has 50000, and "old" leaves it at most 100000',
    );
  });
});
