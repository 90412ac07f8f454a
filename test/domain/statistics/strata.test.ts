import { describe, expect, it } from 'vitest';
import {
  comparable,
  type FailureCount,
  newlyAssignedShare,
  type Stratum,
  usersPerArm,
  withMeasurement,
} from '../../../src/domain/statistics/strata.ts';

const counted = (
  stage: string,
  share: number,
  treatment: [failed: number, users: number],
  control: [failed: number, users: number],
): Stratum<FailureCount> => ({
  stage,
  share,
  treatment: { failed: treatment[0], users: treatment[1] },
  control: { failed: control[0], users: control[1] },
});

describe('measurements', () => {
  const first = counted('10', 0.1, [1, 20], [3, 180]);
  const later = counted('10', 0.1, [2, 50], [9, 450]);

  it('take the place of the ones before, so that measuring again changes nothing', () => {
    const once = withMeasurement(withMeasurement([], first), later);
    expect(once).toEqual([later]);
    expect(withMeasurement(once, later)).toEqual(once);
    expect(JSON.parse(JSON.stringify(once))).toEqual(once);
  });

  it('of another stage are kept apart, and add up to all users compared', () => {
    const next = counted('50', 0.5, [0, 100], [0, 100]);
    const all = counted('100', 1, [0, 900], [0, 0]);
    const strata = [later, next, all].reduce<Stratum<FailureCount>[]>(withMeasurement, []);
    expect(strata).toEqual([later, next, all]);
    expect(usersPerArm(comparable(strata))).toEqual({ treatment: 150, control: 550 });
  });

  it('that count less than the ones before are refused', () => {
    expect(() => withMeasurement([later], first)).toThrow(
      'stage 10, treatment: 2 of 50 users failed before, 1 of 20 users failed now; count from the beginning of the stage',
    );
    expect(() => withMeasurement([later], { ...later, control: { users: 450, failed: 8 } })).toThrow(
      'stage 10, control',
    );
  });

  it('at another share of the same stage are refused', () => {
    expect(() => withMeasurement([later], { ...later, share: 0.2 })).toThrow('the share was 0.1 and is 0.2');
  });

  it('that are no counts are refused', () => {
    expect(() => withMeasurement([], counted('1', 1.5, [0, 1], [0, 1]))).toThrow('1.5 is no share');
    expect(() => withMeasurement([], counted('1', 0.5, [3, 2], [0, 1]))).toThrow('3 failed of 2 users');
    expect(() => withMeasurement([], counted('1', 0.5, [0, 1.5], [0, 1]))).toThrow('no count of users');
    const means = (mean: number) => ({ users: 40, mean, variance: 1 });
    const stratum = { stage: '1', share: 0.5, treatment: means(Number.NaN), control: means(1) };
    expect(() => withMeasurement([], stratum)).toThrow('stage 1, treatment: mean is NaN');
  });
});

describe('share of the newly assigned', () => {
  it('is the part of those who were not in the treatment that gets into it', () => {
    expect(newlyAssignedShare(0, 0.01)).toBe(0.01);
    expect(newlyAssignedShare(0.01, 0.1)).toBeCloseTo(0.09 / 0.99, 15);
    expect(newlyAssignedShare(0.5, 1)).toBe(1);
    expect(newlyAssignedShare(0.5, 0.5)).toBe(0);
  });

  it('does not fall', () => {
    expect(() => newlyAssignedShare(0.5, 0.1)).toThrow('shares rise from 0 to 1, but 0.5 is followed by 0.1');
    expect(() => newlyAssignedShare(1, 1)).toThrow(RangeError);
  });
});
