import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeSampleRatio, logSampleRatioEvidence } from '../../../src/domain/statistics/sample-ratio.ts';

const stratum = (share: number, treatment: number, control: number) => ({
  stage: String(share),
  share,
  treatment: { users: treatment },
  control: { users: control },
});

describe('evidence that users are not assigned as planned', () => {
  const assigned = fc.record({
    share: fc.double({ min: 0.00001, max: 0.99999, noNaN: true }),
    treatment: fc.nat(3_000),
    control: fc.nat(3_000),
  });

  it('is the mean over priors, in closed form', () => {
    // Ten of ten in the treatment at 50 %; with a prior of a = b users, each next one has the probability (a + i) / (2a + i).
    const factor = (a: number) =>
      Array.from({ length: 10 }, (_, i) => (2 * (a + i)) / (2 * a + i)).reduce(
        (product, x) => product * x,
        1,
      );
    const mean = [1, 10, 100, 1_000].reduce((sum, a) => sum + factor(a), 0) / 4;
    expect(logSampleRatioEvidence([{ share: 0.5, treatment: 10, control: 0 }])).toBeCloseTo(
      Math.log(mean),
      9,
    );
  });

  it('is nothing before the first user, and a fair game afterwards', () => {
    expect(logSampleRatioEvidence([{ share: 0.3, treatment: 0, control: 0 }])).toBeCloseTo(0, 12);
    fc.assert(
      fc.property(assigned, ({ share, treatment, control }) => {
        const now = logSampleRatioEvidence([{ share, treatment, control }]);
        const up = logSampleRatioEvidence([{ share, treatment: treatment + 1, control }]);
        const down = logSampleRatioEvidence([{ share, treatment, control: control + 1 }]);
        expect(share * Math.exp(up - now) + (1 - share) * Math.exp(down - now)).toBeCloseTo(1, 4);
      }),
    );
  });

  it('does not depend on the order of strata', () => {
    fc.assert(
      fc.property(fc.array(assigned, { minLength: 1, maxLength: 4 }), (strata) => {
        expect(logSampleRatioEvidence(strata.toReversed())).toBeCloseTo(logSampleRatioEvidence(strata), 6);
      }),
    );
  });
});

describe('sample ratio', () => {
  it('that is off is a breach, and says what it means', () => {
    const finding = judgeSampleRatio([stratum(0.01, 800, 99_200)], 0.01);
    expect(finding).toMatchObject({ verdict: 'breach', users: { treatment: 800, control: 99_200 } });
    expect(finding.effect).toBeCloseTo(800 / 99_200 / (0.01 / 0.99), 9);
    expect(finding.interval.high).toBeLessThan(1);
    expect(finding.reason).toMatch(
      /^800 of 100000 users are in treatment, 1000 were planned; evidence that the assignment is not as planned: .* to 1, 100 to 1 needed; until its cause is found, no comparison of the arms can be trusted$/,
    );
  });

  it('within chance passes', () => {
    const finding = judgeSampleRatio([stratum(0.01, 1_020, 98_980), stratum(0.5, 5_050, 4_950)], 0.01);
    expect(finding.verdict).toBe('pass');
    expect(finding.interval.low).toBeLessThan(1);
    expect(finding.interval.high).toBeGreaterThan(1);
  });

  it('is no data without users, or where the share leaves no choice', () => {
    expect(judgeSampleRatio([], 0.01).verdict).toBe('no-data');
    expect(judgeSampleRatio([stratum(1, 500, 0)], 0.01).verdict).toBe('no-data');
  });

  it('is a breach when an arm has nobody', () => {
    const finding = judgeSampleRatio([stratum(0.5, 100, 0)], 0.01);
    expect(finding).toMatchObject({ verdict: 'breach', effect: null, interval: { high: null } });
    expect(finding.interval.low).toBeGreaterThan(1);
    expect(judgeSampleRatio([stratum(0.5, 0, 100)], 0.01)).toMatchObject({
      verdict: 'breach',
      effect: 0,
      interval: { low: 0 },
    });
  });

  it('has an interval that excludes 1 exactly when it is a breach', () => {
    const any = fc
      .tuple(fc.double({ min: 0.01, max: 0.9, noNaN: true }), fc.nat(2_000), fc.nat(2_000))
      .map(([share, treatment, control]) => stratum(share, treatment + 1, control + 1));
    fc.assert(
      fc.property(any, (one) => {
        const { verdict, interval } = judgeSampleRatio([one], 0.01);
        const isOutside = (interval.low ?? 0) > 1 || (interval.high ?? Number.POSITIVE_INFINITY) < 1;
        expect(verdict).toBe(isOutside ? 'breach' : 'pass');
      }),
      { numRuns: 60 },
    );
  });
});
