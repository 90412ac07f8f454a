import {
  checkLimits,
  type Evidence,
  type Finding,
  type Limits,
  noData,
  shown,
  verdictOf,
} from './finding.ts';
import {
  FEWEST_USERS,
  type MeanDifference,
  meanDifference,
  standardErrorsAllowed,
  withSpread,
} from './mean-interval.ts';
import { type Arms, comparable, type Stratum, type UserMean, usersPerArm } from './strata.ts';

/**
 * What the values of users are. `log`: natural logarithms, so that effects are ratios (1.1: a tenth more) and `tolerated` and
 * `margin` as well. `linear`: capped values, so that all of these are differences, in the values' unit.
 */
export type MeanScale = { kind: 'log' } | { kind: 'linear'; unit: string };

/**
 * Are the values of users, such as their latencies, higher in the treatment? Valid at whatever moments it is asked, for numbers
 * of users at which means are normally distributed; hence logarithms or capped values, and at least 30 users per arm.
 * @throws RangeError on limits that make no sense.
 */
export function judgeMeans(
  strata: readonly Stratum<UserMean>[],
  limits: Limits,
  scale: MeanScale = { kind: 'log' },
): Finding {
  checkLimits(limits);
  if (scale.kind === 'log' && !(limits.tolerated > 0)) {
    throw new RangeError(`the tolerated ratio is ${limits.tolerated}, wanted above 0`);
  }
  const judged = withSpread(comparable(strata));
  if (judged.length === 0) {
    const users = usersPerArm(comparable(strata));
    const counted = `${users.treatment} users in treatment, ${users.control} in control`;
    return noData(users, `not enough data: ${counted}, at least ${FEWEST_USERS} each in one stage needed`);
  }
  const users = usersPerArm(judged);
  const measured = meanDifference(judged);
  if (measured.standardError === 0) {
    return noData(
      users,
      'not enough data: all users of an arm have the same value, so the spread is unknown',
    );
  }
  return judgeDifference(users, measured, limits, scale);
}

function judgeDifference(
  users: Arms<number>,
  { difference, standardError, effectiveUsers }: MeanDifference,
  limits: Limits,
  scale: MeanScale,
): Finding {
  const toScale = (limit: number) => (scale.kind === 'log' ? Math.log(limit) : limit);
  const fromScale = (value: number) => (scale.kind === 'log' ? Math.exp(value) : value);
  const worse = {
    value: (difference - toScale(limits.tolerated)) / standardError,
    limit: standardErrorsAllowed(effectiveUsers, limits.alpha),
  };
  const within = {
    value: (toScale(limits.margin) - difference) / standardError,
    limit: standardErrorsAllowed(effectiveUsers, limits.beta),
  };
  const verdict = verdictOf(worse, within);
  const effect = finite(fromScale(difference));
  const interval = {
    low: finite(fromScale(difference - standardError * worse.limit)),
    high: finite(fromScale(difference + standardError * within.limit)),
  };
  const reason = [
    `${users.treatment} users in treatment, ${users.control} in control: ${inWords(effect, scale)}, stage by stage (${ends(interval)})`,
    ...(verdict === 'pass'
      ? []
      : [`above ${shown(limits.tolerated)} by ${errors(worse)} needed to roll back`]),
    ...(verdict === 'breach' ? [] : [`below ${shown(limits.margin)} by ${errors(within)} needed to pass`]),
  ].join('; ');
  return { verdict, effect, interval, worse, within, users, reason };
}

function inWords(effect: number | null, scale: MeanScale): string {
  if (effect === null) return 'a difference beyond measure';
  return scale.kind === 'log' ? `${shown(effect)} times as high` : `${shown(effect)} ${scale.unit} higher`;
}

function ends({ low, high }: Finding['interval']): string {
  return `${low === null ? 'no lower end' : shown(low)} to ${high === null ? 'no upper end' : shown(high)}`;
}

function errors({ value, limit }: Evidence): string {
  return `${shown(value)} standard errors, ${shown(limit)}`;
}

/** JSON has no infinities; the logarithm's inverse may give one while there are few users. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
