import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  countFailingUsers,
  meanOverUsers,
  type RequestOutcome,
} from '../../../src/domain/statistics/per-user.ts';

const arm = fc.constantFrom('treatment' as const, 'control' as const);
const outcome: fc.Arbitrary<RequestOutcome> = fc.record({
  user: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  arm,
  failed: fc.boolean(),
});

describe('failing users', () => {
  it('are counted once, however many of their requests failed', () => {
    const requests: RequestOutcome[] = [
      { user: 'ada', arm: 'treatment', failed: true },
      { user: 'ada', arm: 'treatment', failed: false },
      { user: 'ada', arm: 'treatment', failed: true },
      { user: 'bob', arm: 'treatment', failed: false },
      { user: 'cleo', arm: 'control', failed: false },
    ];
    expect(countFailingUsers(requests)).toEqual({
      treatment: { users: 2, failed: 1 },
      control: { users: 1, failed: 0 },
      inBothArms: 0,
    });
  });

  it('in both arms count in neither', () => {
    expect(
      countFailingUsers([
        { user: 'ada', arm: 'treatment', failed: true },
        { user: 'ada', arm: 'control', failed: false },
      ]),
    ).toEqual({ treatment: { users: 0, failed: 0 }, control: { users: 0, failed: 0 }, inBothArms: 1 });
  });

  it('are the same in any order, and when every request is told twice', () => {
    const requests = fc.array(outcome, { maxLength: 30 });
    fc.assert(
      fc.property(requests, (requests) => {
        const counted = countFailingUsers(requests);
        expect(countFailingUsers([...requests, ...requests.toReversed()])).toEqual(counted);
        const users = counted.treatment.users + counted.control.users + counted.inBothArms;
        expect(users).toBe(new Set(requests.map(({ user }) => user)).size);
      }),
    );
  });
});

describe('mean over users', () => {
  const requests = [
    { user: 'ada', arm: 'treatment' as const, value: 10 },
    { user: 'ada', arm: 'treatment' as const, value: 30 },
    { user: 'bob', arm: 'treatment' as const, value: 0 },
    { user: 'cleo', arm: 'treatment' as const, value: 9_000 },
    { user: 'dan', arm: 'control' as const, value: 50 },
  ];

  it('is of the logarithms of their means, none below the floor', () => {
    const { treatment, control, inBothArms } = meanOverUsers(requests, { kind: 'log', floor: 1 });
    const logs = [Math.log(20), 0, Math.log(9_000)];
    const mean = logs.reduce((sum, log) => sum + log, 0) / 3;
    expect(treatment.users).toBe(3);
    expect(treatment.mean).toBeCloseTo(mean, 14);
    expect(treatment.variance).toBeCloseTo(logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / 2, 14);
    expect(control).toEqual({ users: 1, mean: Math.log(50), variance: 0 });
    expect(inBothArms).toBe(0);
  });

  it('is of the means up to the cap', () => {
    const { treatment } = meanOverUsers(requests, { kind: 'capped', cap: 100 });
    expect(treatment).toEqual({ users: 3, mean: 40, variance: 2_800 });
  });

  it('has no value without users', () => {
    const nobody = { users: 0, mean: 0, variance: 0 };
    expect(meanOverUsers([], { kind: 'capped', cap: 1 })).toEqual({
      treatment: nobody,
      control: nobody,
      inBothArms: 0,
    });
  });

  it('refuses values that are none, and a floor without logarithm', () => {
    const broken = [{ user: 'ada', arm: 'control' as const, value: Number.NaN }];
    expect(() => meanOverUsers(broken, { kind: 'capped', cap: 1 })).toThrow('NaN of user ada is no value');
    expect(() => meanOverUsers([], { kind: 'log', floor: 0 })).toThrow('the floor is 0, wanted above 0');
  });
});
