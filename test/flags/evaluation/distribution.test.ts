import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FlagDefinition } from '../../../src/domain/flags/definition.ts';
import { resize, TOTAL_WEIGHT } from '../../../src/domain/flags/weights.ts';
import { compile } from '../../../src/flags/evaluation/compile.ts';
import { murmur3 } from '../../../src/flags/evaluation/murmur3.ts';
import { cohortOf, flagOf, rolloutOf, splitOf, usersOf } from './support.ts';

const USERS = usersOf(100_000);
/** 99.9 % of uniform samples lie below, for 99 and for 9 degrees of freedom. */
const CHI_SQUARE_99 = 148.23;
const CHI_SQUARE_9 = 27.88;
/** Once written down, this may never change: it would mean that users move when the package is updated. */
const FIRST_COHORT = [176, 586, 638, 939, 1031, 1130, 1136, 1145, 1444, 1446, 1600, 1938].map(
  (user) => `user-${user}`,
);
const HUNDREDTHS = Array.from({ length: 100 }, () => TOTAL_WEIGHT / 100);

/** How many users get each of the hundred variants of equal weight. */
function countHundredths(salt: string, users: readonly string[]): number[] {
  const evaluate = compile({ ...splitOf(HUNDREDTHS), salt });
  const counts = HUNDREDTHS.map(() => 0);
  for (const user of users) {
    const place = Number(evaluate({ targetingKey: user }).value);
    counts[place] = (counts[place] ?? 0) + 1;
  }
  return counts;
}

function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe('buckets', () => {
  // Keys and salts are fixed, so that the figures are the same in each run.
  it.each(['a', 'c0ffee', 'checkout-v2', '0'])('are uniform over users, with salt %j', (salt) => {
    expect(chiSquare(countHundredths(salt, USERS))).toBeLessThan(CHI_SQUARE_99);
  });

  it('are uniform over salts for one user', () => {
    const tenths = splitOf(Array.from({ length: 10 }, () => TOTAL_WEIGHT / 10));
    const counts = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 10_000; i += 1) {
      const place = Number(compile({ ...tenths, salt: `salt-${i}` })({ targetingKey: 'user-7' }).value);
      counts[place] = (counts[place] ?? 0) + 1;
    }
    expect(chiSquare(counts)).toBeLessThan(CHI_SQUARE_9);
  });

  it('of two salts are independent: each tenth of one is spread evenly over the tenths of the other', () => {
    const [first, second] = ['first', 'second'].map((salt) =>
      compile({ ...splitOf(Array.from({ length: 10 }, () => TOTAL_WEIGHT / 10)), salt }),
    );
    const cells = HUNDREDTHS.map(() => 0);
    for (const targetingKey of USERS) {
      const cell = Number(first?.({ targetingKey }).value) * 10 + Number(second?.({ targetingKey }).value);
      cells[cell] = (cells[cell] ?? 0) + 1;
    }
    expect(chiSquare(cells)).toBeLessThan(CHI_SQUARE_99);
  });

  it('are those of the formula, computed in 64 bits', () => {
    const weights = fc
      .uniqueArray(fc.integer({ min: 0, max: TOTAL_WEIGHT }), { minLength: 1, maxLength: 6 })
      .map((cuts) => [0, ...cuts.toSorted((a, b) => a - b), TOTAL_WEIGHT])
      .map((cuts) => cuts.slice(1).map((cut, i) => cut - (cuts[i] ?? 0)));
    fc.assert(
      fc.property(weights, fc.string({ unit: 'binary', minLength: 1 }), (split, user) => {
        const bucket = Number((BigInt(murmur3(`c0ffee:${user}`)) * BigInt(TOTAL_WEIGHT)) >> 32n);
        let cumulative = 0;
        const winner = split.findIndex((weight) => {
          cumulative += weight;
          return cumulative > bucket;
        });
        expect(compile(splitOf(split))({ targetingKey: user }).variant).toBe(`v${winner}`);
      }),
      { numRuns: 500 },
    );
  });
});

describe('cohorts', () => {
  it('are nested, and as large as the percentage says', () => {
    let smaller = new Set<string>();
    for (const percentage of [0, 0.001, 0.1, 1, 5, 25, 50, 99.999, 100]) {
      const cohort = cohortOf(rolloutOf(percentage), USERS);
      expect([...smaller].every((user) => cohort.has(user))).toBe(true);
      const deviation = Math.sqrt(USERS.length * (percentage / 100) * (1 - percentage / 100));
      expect(Math.abs(cohort.size - (USERS.length * percentage) / 100)).toBeLessThanOrEqual(4 * deviation);
      smaller = cohort;
    }
  });

  it('of several variants move nobody but from the one that gives way', () => {
    const before = splitOf([5_000, 5_000, 90_000]);
    const weights = resize(before.split?.weights ?? [], { variant: 'v1', from: 'v2', to: 20_000 });
    const after: FlagDefinition = { ...before, split: { weights } };
    const [old, grown] = [compile(before), compile(after)];
    const moves = new Set(
      USERS.map((targetingKey) => [old({ targetingKey }).variant, grown({ targetingKey }).variant])
        .filter(([from, to]) => from !== to)
        .map(([from, to]) => `${from} to ${to}`),
    );
    expect([...moves]).toEqual(['v2 to v1']);
  });

  it('survive a new name of the flag, and of its variants', () => {
    const cohort = cohortOf(rolloutOf(10), USERS);
    expect(cohortOf(rolloutOf(10, { key: 'checkout-2027' }), USERS)).toEqual(cohort);
    const renamed = flagOf({
      variants: { new: true, old: false },
      defaultVariant: 'old',
      split: {
        weights: [
          { variant: 'new', weight: 10_000 },
          { variant: 'old', weight: 90_000 },
        ],
      },
    });
    expect(cohortOf(renamed, USERS, 'new')).toEqual(cohort);
  });

  it('survive a restart, and releases of this package', () => {
    const reloaded: FlagDefinition = JSON.parse(JSON.stringify(rolloutOf(0.5)));
    expect([...cohortOf(reloaded, usersOf(2_000))]).toEqual(FIRST_COHORT);
  });

  it('differ from salt to salt', () => {
    const [ours, other] = [cohortOf(rolloutOf(10), USERS), cohortOf(rolloutOf(10, { salt: 'other' }), USERS)];
    // A tenth of a tenth, give or take four standard deviations.
    const both = [...ours].filter((user) => other.has(user));
    expect(Math.abs(both.length - 1_000)).toBeLessThan(4 * Math.sqrt(1_000));
  });

  it('are shared by flags whose splits have one salt', () => {
    const shared = { ...rolloutOf(10).split, weights: rolloutOf(10).split?.weights ?? [], salt: 'early' };
    const first = cohortOf(flagOf({ salt: 'one', split: shared }), USERS);
    expect(first.size).toBeGreaterThan(0);
    expect(cohortOf(flagOf({ salt: 'two', split: shared }), USERS)).toEqual(first);
  });

  it('keep everybody of a workspace together when bucketed by it', () => {
    const flag = rolloutOf(50);
    const evaluate = compile({
      ...flag,
      split: { by: 'workspace.id', weights: flag.split?.weights ?? [] },
    });
    const variantsOf = (workspace: string) =>
      new Set(
        usersOf(20).map((targetingKey) => evaluate({ targetingKey, workspace: { id: workspace } }).variant),
      );
    const all = usersOf(200, 'workspace').map(variantsOf);
    expect(all.every((variants) => variants.size === 1)).toBe(true);
    expect(new Set(all.flatMap((variants) => [...variants]))).toEqual(new Set(['on', 'off']));
  });
});
