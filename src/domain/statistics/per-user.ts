import type { Arms, FailureCount, UserMean } from './strata.ts';

/** One request of a user within one stage. */
type Request = { user: string; arm: 'treatment' | 'control' };
export type RequestOutcome = Request & { failed: boolean };
export type RequestValue = Request & { value: number };

/**
 * How the mean over a user's requests becomes the user's value. Both keep single extreme users from deciding.
 * - `log`: natural logarithm; `floor` stands in for what lies below, as a measured 0 has no logarithm.
 * - `capped`: no higher than `cap`, which must be chosen beforehand, not from what is being compared.
 */
export type UserValue = { kind: 'log'; floor: number } | { kind: 'capped'; cap: number };

export type PerUser<T> = Arms<T> & {
  /** Users with requests in both arms. They belong to neither and are left out; there should be none within a stage. */
  inBothArms: number;
};

/**
 * Counts users, of one stage: a user has failed who had a failing request. Requests of one user are alike, and counted one by one
 * they would pass for that much independent evidence.
 */
export function countFailingUsers(requests: Iterable<RequestOutcome>): PerUser<FailureCount> {
  return overUsers(
    requests,
    () => ({ failed: false }),
    (user, { failed }) => {
      user.failed ||= failed;
    },
    (users) => ({ users: users.length, failed: users.filter(({ failed }) => failed).length }),
  );
}

/**
 * Mean and variance over users, of one stage, of the values that `toValue` makes of the users' means.
 * @throws RangeError on a value that is no number, and on a floor that has no logarithm.
 */
export function meanOverUsers(requests: Iterable<RequestValue>, toValue: UserValue): PerUser<UserMean> {
  if (toValue.kind === 'log' && !(toValue.floor > 0)) {
    throw new RangeError(`the floor is ${toValue.floor}, wanted above 0, as it has no logarithm otherwise`);
  }
  return overUsers(
    requests,
    () => ({ requests: 0, sum: 0 }),
    (user, { value, user: name }) => {
      if (!Number.isFinite(value)) throw new RangeError(`${value} of user ${name} is no value`);
      user.requests += 1;
      user.sum += value;
    },
    (users) => meanAndVariance(users.map(({ requests, sum }) => userValue(sum / requests, toValue))),
  );
}

function userValue(mean: number, toValue: UserValue): number {
  return toValue.kind === 'log' ? Math.log(Math.max(mean, toValue.floor)) : Math.min(mean, toValue.cap);
}

function meanAndVariance(values: readonly number[]): UserMean {
  const users = values.length;
  if (users === 0) return { users, mean: 0, variance: 0 };
  const mean = values.reduce((sum, value) => sum + value, 0) / users;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { users, mean, variance: users === 1 ? 0 : squares / (users - 1) };
}

function overUsers<R extends Request, U, T>(
  requests: Iterable<R>,
  nobody: () => U,
  add: (user: U, request: R) => void,
  summarize: (users: U[]) => T,
): PerUser<T> {
  const known = new Map<string, { arms: Set<Request['arm']>; soFar: U }>();
  for (const request of requests) {
    const user = known.get(request.user) ?? { arms: new Set(), soFar: nobody() };
    known.set(request.user, user);
    user.arms.add(request.arm);
    add(user.soFar, request);
  }
  const users = [...known.values()];
  const only = (arm: Request['arm']) =>
    summarize(users.filter(({ arms }) => arms.size === 1 && arms.has(arm)).map(({ soFar }) => soFar));
  return {
    treatment: only('treatment'),
    control: only('control'),
    inBothArms: users.filter(({ arms }) => arms.size > 1).length,
  };
}
