import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Limits } from '../../../src/domain/statistics/finding.ts';
import { meanDifference, standardErrorsAllowed } from '../../../src/domain/statistics/mean-interval.ts';
import { judgeMeans } from '../../../src/domain/statistics/means.ts';
import type { Stratum, UserMean } from '../../../src/domain/statistics/strata.ts';

const limits: Limits = { tolerated: 1, margin: 1.2, alpha: 0.05, beta: 0.05 };

const stratum = (
  share: number,
  treatment: [users: number, mean: number, variance?: number],
  control: [users: number, mean: number, variance?: number],
): Stratum<UserMean> => {
  const arm = ([users, mean, variance = 1]: [number, number, number?]) => ({ users, mean, variance });
  return { stage: String(share), share, treatment: arm(treatment), control: arm(control) };
};

describe('difference of means', () => {
  it('is Welch’s in a single stratum', () => {
    const { difference, standardError, effectiveUsers } = meanDifference([
      stratum(0.1, [100, 5, 4], [900, 4.5, 9]),
    ]);
    expect(difference).toBeCloseTo(0.5, 14);
    expect(standardError).toBeCloseTo(Math.sqrt(4 / 100 + 9 / 900), 14);
    expect(effectiveUsers).toBeCloseTo(360, 10);
  });

  it('weighs strata by what they tell', () => {
    const { difference, standardError, effectiveUsers } = meanDifference([
      stratum(0.1, [100, 1], [900, 0]),
      stratum(0.5, [500, 3], [500, 1]),
    ]);
    const [first, second] = [90, 250];
    expect(difference).toBeCloseTo((first * 1 + second * 2) / 340, 14);
    // With the same variance everywhere: Σ w_k² / w_k = Σ w_k
    expect(standardError).toBeCloseTo(1 / Math.sqrt(340), 14);
    expect(effectiveUsers).toBeCloseTo(1_360, 10);
  });

  it('does not depend on the order of strata, nor on what all users of a stratum have in common', () => {
    const arm = fc.tuple(
      fc.integer({ min: 30, max: 5_000 }),
      fc.double({ min: -5, max: 5, noNaN: true }),
      fc.double({ min: 0.1, max: 9, noNaN: true }),
    );
    const any = fc.tuple(arm, arm).map(([treatment, control]) => stratum(0.5, treatment, control));
    const shift = fc.double({ min: -5, max: 5, noNaN: true });
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 4 }), shift, (strata, shift) => {
        const now = meanDifference(strata);
        const shifted = strata.map((one, index) => ({
          ...one,
          treatment: { ...one.treatment, mean: one.treatment.mean + index * shift },
          control: { ...one.control, mean: one.control.mean + index * shift },
        }));
        for (const other of [strata.toReversed(), shifted]) {
          const { difference, standardError, effectiveUsers } = meanDifference(other);
          expect(difference).toBeCloseTo(now.difference, 10);
          expect(standardError).toBeCloseTo(now.standardError, 10);
          expect(effectiveUsers).toBeCloseTo(now.effectiveUsers, 6);
        }
      }),
    );
  });
});

describe('standard errors allowed', () => {
  it('are those of the formula', () => {
    // By hand, for α = 0.05: Nρ² = 6.3289 at 5,000 and 4 · 6.3289 at 20,000
    expect(standardErrorsAllowed(5_000, 0.05)).toBeCloseTo(
      Math.sqrt(2 * (1 + 1 / 6.32886) * Math.log(1 + Math.sqrt(7.32886) / 0.1)),
      5,
    );
    expect(standardErrorsAllowed(20_000, 0.05)).toBeCloseTo(
      Math.sqrt(2 * (1 + 1 / 25.31544) * Math.log(1 + Math.sqrt(26.31544) / 0.1)),
      5,
    );
  });

  it('solve the mixture for the moment when it reaches 1/α', () => {
    // m is where exp(x²κ/2(κ+1)) / √(κ+1) + … reaches 1/α in the paper's bound: exp(m²κ / 2(κ+1)) = 1 + √(κ+1) / 2α
    const log = -2 * Math.log(0.1);
    const clock = (1_234 / 5_000) * (log + Math.log(1 + log));
    const m = standardErrorsAllowed(1_234, 0.05);
    expect(Math.exp((m * m * clock) / (2 * (clock + 1)))).toBeCloseTo(1 + Math.sqrt(clock + 1) / 0.1, 9);
  });

  it('are more than for one look, the fewest about 5,000 users, and more for a smaller alpha', () => {
    const at = (users: number) => standardErrorsAllowed(users, 0.05);
    expect(at(5_000)).toBeGreaterThan(1.645);
    expect(at(5_000)).toBeLessThan(at(500));
    expect(at(5_000)).toBeLessThan(at(50_000));
    expect(at(1e9)).toBeLessThan(2 * at(5_000));
    expect(standardErrorsAllowed(5_000, 0.01)).toBeGreaterThan(at(5_000));
  });
});

describe('values of users', () => {
  it('provably higher than tolerated are a breach', () => {
    const finding = judgeMeans([stratum(0.5, [5_000, Math.log(120)], [5_000, Math.log(100)])], limits);
    expect(finding.verdict).toBe('breach');
    expect(finding.effect).toBeCloseTo(1.2, 12);
    expect(finding.reason).toMatch(
      /^5000 users in treatment, 5000 in control: 1\.2 times as high, stage by stage \(1\.\d+ to 1\.\d+\); above 1 by 9\.12 standard errors, 2\.\d+ needed to roll back$/,
    );
  });

  it('provably below the margin pass', () => {
    const finding = judgeMeans([stratum(0.5, [5_000, 4], [5_000, 4])], limits);
    expect(finding.verdict).toBe('pass');
    expect(finding.reason).toMatch(/below 1\.2 by 9\.12 standard errors, 2\.\d+ needed to pass$/);
  });

  it('are inconclusive in between', () => {
    const finding = judgeMeans([stratum(0.5, [200, 4.05], [200, 4])], limits);
    expect(finding.verdict).toBe('inconclusive');
    expect(finding.reason).toMatch(/needed to roll back; below 1\.2 by .* needed to pass$/);
  });

  it('are differences in their unit where they are capped', () => {
    const strata = [stratum(0.5, [5_000, 130, 900], [5_000, 100, 900])];
    const finding = judgeMeans(
      strata,
      { ...limits, tolerated: 10, margin: 20 },
      { kind: 'linear', unit: 'ms' },
    );
    expect(finding).toMatchObject({ verdict: 'breach', effect: 30 });
    expect(finding.reason).toContain('30 ms higher');
  });

  it('say so while there are too few users', () => {
    const finding = judgeMeans([stratum(0.01, [29, 9], [9_000, 1])], limits);
    expect(finding).toMatchObject({
      verdict: 'no-data',
      effect: null,
      users: { treatment: 29, control: 9_000 },
      reason: 'not enough data: 29 users in treatment, 9000 in control, at least 30 each in one stage needed',
    });
    expect(judgeMeans([stratum(0.01, [30, 9], [9_000, 1])], limits).verdict).toBe('breach');
  });

  it('leave a stage out that has too few, and one without control', () => {
    const enough = stratum(0.5, [500, 4], [500, 4]);
    const finding = judgeMeans([enough], limits);
    expect(judgeMeans([enough, stratum(0.01, [29, 9], [9_000, 1])], limits)).toEqual(finding);
    expect(judgeMeans([enough, stratum(1, [9_000, 9], [40, 1])], limits)).toEqual(finding);
  });

  it('say so when there is no spread to judge by', () => {
    const finding = judgeMeans([stratum(0.5, [50, 2, 0], [50, 1, 0])], limits);
    expect(finding).toMatchObject({ verdict: 'no-data', reason: expect.stringContaining('same value') });
  });

  it('are told as JSON, whatever the numbers', () => {
    const finding = judgeMeans([stratum(0.5, [30, 1, 1e9], [30, 1, 1e9])], limits);
    expect(JSON.parse(JSON.stringify(finding))).toEqual(finding);
    expect(finding).toMatchObject({ verdict: 'inconclusive', interval: { low: 0, high: null } });
    expect(finding.reason).toContain('(0 to no upper end)');
  });

  it('are never a breach while no higher than control’s', () => {
    const users = fc.integer({ min: 30, max: 9_000 });
    const lower = fc
      .tuple(users, users, fc.double({ min: 0, max: 3, noNaN: true }))
      .map(([treatment, control, less]) => stratum(0.5, [treatment, 4 - less], [control, 4]));
    fc.assert(
      fc.property(fc.array(lower, { minLength: 1, maxLength: 4 }), (strata) => {
        expect(judgeMeans(strata, limits).verdict).not.toBe('breach');
      }),
    );
  });
});
