import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeFailures } from '../../../src/domain/statistics/failures.ts';
import type { Limits } from '../../../src/domain/statistics/finding.ts';
import { logEvidenceAbove, logEvidenceBelow } from '../../../src/domain/statistics/ratio-evidence.ts';
import type { FailureCount, Stratum } from '../../../src/domain/statistics/strata.ts';

const limits: Limits = { tolerated: 1, margin: 1.5, alpha: 0.05, beta: 0.05 };

const stratum = (
  share: number,
  treatment: [failed: number, users: number],
  control: [failed: number, users: number],
): Stratum<FailureCount> => ({
  stage: String(share),
  share,
  treatment: { failed: treatment[0], users: treatment[1] },
  control: { failed: control[0], users: control[1] },
});

describe('users who fail', () => {
  it('more often than tolerated are a breach', () => {
    const finding = judgeFailures([stratum(0.1, [30, 1_000], [90, 9_000])], limits);
    expect(finding).toMatchObject({ verdict: 'breach', users: { treatment: 1_000, control: 9_000 } });
    expect(finding.effect).toBeCloseTo(3, 9);
    expect(finding.reason).toMatch(
      /^30 of 1000 users failed in treatment, 90 of 9000 in control: 3 times as often, stage by stage \(1\.\d+ to \d\.\d+\); evidence that the ratio is above 1: \d+ to 1, 20 to 1 needed to roll back$/,
    );
  });

  it('provably less often than the margin pass', () => {
    const finding = judgeFailures([stratum(0.5, [300, 30_000], [300, 30_000])], limits);
    expect(finding.verdict).toBe('pass');
    expect(finding.reason).toContain('1 times as often');
    expect(finding.reason).toMatch(
      /evidence that the ratio is below 1\.5: \d+ to 1, 20 to 1 needed to pass$/,
    );
  });

  it('are inconclusive in between, with the evidence for both', () => {
    const finding = judgeFailures([stratum(0.1, [3, 300], [20, 2_700])], limits);
    expect(finding.verdict).toBe('inconclusive');
    expect(finding.reason).toMatch(
      /needed to roll back; evidence that the ratio is below 1\.5: .* needed to pass$/,
    );
  });

  it('are inconclusive when nobody has failed, which proves no ratio', () => {
    const finding = judgeFailures([stratum(0.5, [0, 1e6], [0, 1e6])], limits);
    expect(finding).toMatchObject({
      verdict: 'inconclusive',
      effect: null,
      interval: { low: 0, high: null },
      worse: { value: 0 },
    });
    expect(finding.reason).toMatch(
      /^0 of 1000000 users failed in treatment, 0 of 1000000 in control; evidence that the ratio is above 1: 1 to 1/,
    );
  });

  it('are a breach when control has none at all', () => {
    const finding = judgeFailures([stratum(0.1, [9, 1_000], [0, 9_000])], limits);
    expect(finding).toMatchObject({ verdict: 'breach', effect: null, interval: { high: null } });
    expect(finding.reason).toMatch(/no ratio yet, stage by stage \(at least \d/);
  });

  it('are no data without users in both arms', () => {
    expect(judgeFailures([], limits)).toMatchObject({
      verdict: 'no-data',
      reason: 'not enough data: no users counted in treatment',
    });
    const noControl = judgeFailures([stratum(0.5, [1, 10], [0, 0]), stratum(1, [4, 10], [0, 0])], limits);
    expect(noControl).toMatchObject({
      verdict: 'no-data',
      users: { treatment: 10, control: 0 },
      reason: 'not enough data: no users counted in control',
    });
  });

  it('are compared within stages: a base that drifts is no effect', () => {
    // One percent fail in the first stage, four in the second, in both arms; of all users, 3.9 % against 1.5 %.
    const strata = [stratum(0.01, [10, 1_000], [990, 99_000]), stratum(0.5, [800, 20_000], [800, 20_000])];
    const finding = judgeFailures(strata, { ...limits, margin: 1 });
    expect(finding.verdict).toBe('inconclusive');
    expect(finding.effect).toBeCloseTo(1, 9);
  });

  it('are told as JSON, whatever the numbers', () => {
    const finding = judgeFailures([stratum(0.5, [1e9, 1e9], [1, 1e9])], limits);
    expect(JSON.parse(JSON.stringify(finding))).toEqual(finding);
    expect(finding.reason).toContain('over 10^11 to 1');
    const clear = judgeFailures([stratum(0.5, [300, 1_000], [100, 1_000])], limits);
    expect(clear.worse?.value).toBeGreaterThan(40);
    expect(clear.reason).toContain('above 1: over 10^11 to 1, 20 to 1 needed');
  });
});

describe('verdict', () => {
  const counts = fc
    .tuple(fc.double({ min: 0.001, max: 0.9, noNaN: true }), fc.nat(300), fc.nat(300))
    .map(([share, treatment, control]) => stratum(share, [treatment, 1_000], [control, 1_000]));

  it('says of the interval what it says of the evidence', () => {
    fc.assert(
      fc.property(fc.array(counts, { minLength: 1, maxLength: 3 }), (strata) => {
        const { verdict, interval } = judgeFailures(strata, limits);
        const isAbove = (interval.low ?? 0) > limits.tolerated;
        const isBelow = (interval.high ?? Number.POSITIVE_INFINITY) < limits.margin;
        expect(verdict).toBe(isAbove ? 'breach' : isBelow ? 'pass' : 'inconclusive');
      }),
      { numRuns: 60 },
    );
  });

  it('changes at the very failure with which the interval leaves the limit, for each limit by its own error rate', () => {
    const strict = { ...limits, beta: 0.001 };
    const verdicts = Array.from({ length: 201 }, (_, failed) => {
      const { verdict, interval } = judgeFailures([stratum(0.5, [failed, 1_000], [100, 1_000])], strict);
      const isAbove = (interval.low ?? 0) > strict.tolerated;
      const isBelow = (interval.high ?? Number.POSITIVE_INFINITY) < strict.margin;
      expect(verdict).toBe(isAbove ? 'breach' : isBelow ? 'pass' : 'inconclusive');
      return verdict;
    });
    const lastPass = verdicts.lastIndexOf('pass');
    const firstBreach = verdicts.indexOf('breach');
    const evidence = (failed: number) => [{ share: 0.5, treatment: failed, control: 100 }];
    expect(logEvidenceBelow(evidence(lastPass), strict.margin)).toBeGreaterThanOrEqual(Math.log(1_000));
    expect(logEvidenceBelow(evidence(lastPass + 1), strict.margin)).toBeLessThan(Math.log(1_000));
    expect(logEvidenceAbove(evidence(firstBreach), strict.tolerated)).toBeGreaterThanOrEqual(Math.log(20));
    expect(logEvidenceAbove(evidence(firstBreach - 1), strict.tolerated)).toBeLessThan(Math.log(20));
  });

  it('is never a breach while each stage has no more than its share of the failures in the treatment', () => {
    const equal = fc
      .tuple(fc.constantFrom(1, 10, 50), fc.nat(50))
      .map(([percent, times]) =>
        stratum(percent / 100, [percent * times, 5_000], [(100 - percent) * times, 5_000]),
      );
    fc.assert(
      fc.property(fc.array(equal, { minLength: 1, maxLength: 4 }), (strata) => {
        expect(judgeFailures(strata, limits).verdict).not.toBe('breach');
      }),
      { numRuns: 60 },
    );
  });
});

it.each([
  [{ tolerated: 2 }, 'the margin is 1.5, wanted at least what is tolerated, 2'],
  [{ tolerated: 0 }, 'the tolerated ratio is 0'],
  [{ alpha: 0 }, 'alpha is 0, wanted an error rate'],
  [{ beta: 0.5 }, 'beta is 0.5, wanted an error rate'],
  [{ margin: Number.NaN }, 'the margin is NaN'],
])('refuses limits such as %j', (limit, message) => {
  expect(() => judgeFailures([], { ...limits, ...limit })).toThrow(message);
});
