import { checkLimits, type Finding, type Limits, noData, odds, shown, verdictOf } from './finding.ts';
import {
  type Events,
  likeliestRatio,
  logEvidenceAbove,
  logEvidenceBelow,
  type RatioInterval,
  ratioInterval,
} from './ratio-evidence.ts';
import { type Arms, comparable, type FailureCount, type Stratum, usersPerArm } from './strata.ts';

/**
 * Do users fail more often in the treatment? `tolerated` and `margin` are ratios of the shares of users who fail: 1 tolerates
 * no rise, 1.25 one by a quarter. Anytime-valid: it may be asked after every measurement.
 * @throws RangeError on limits that make no sense.
 */
export function judgeFailures(strata: readonly Stratum<FailureCount>[], limits: Limits): Finding {
  checkLimits(limits);
  if (!(limits.tolerated > 0))
    throw new RangeError(`the tolerated ratio is ${limits.tolerated}, wanted above 0`);
  const compared = comparable(strata);
  const users = usersPerArm(compared);
  if (users.treatment === 0 || users.control === 0) {
    const missing = users.treatment === 0 ? 'treatment' : 'control';
    return noData(users, `not enough data: no users counted in ${missing}`);
  }
  const events = compared.map(failuresOf);
  const worse = { value: logEvidenceAbove(events, limits.tolerated), limit: -Math.log(limits.alpha) };
  const within = { value: logEvidenceBelow(events, limits.margin), limit: -Math.log(limits.beta) };
  const verdict = verdictOf(worse, within);
  const effect = likeliestRatio(events);
  const interval = ratioInterval(events, limits.alpha, limits.beta);
  const reason = [
    inWords(users, events, effect, interval),
    ...(verdict === 'pass'
      ? []
      : [
          `evidence that the ratio is above ${shown(limits.tolerated)}: ${odds(worse.value)}, ${odds(worse.limit)} needed to roll back`,
        ]),
    ...(verdict === 'breach'
      ? []
      : [
          `evidence that the ratio is below ${shown(limits.margin)}: ${odds(within.value)}, ${odds(within.limit)} needed to pass`,
        ]),
  ].join('; ');
  return { verdict, effect, interval, worse, within, users, reason };
}

/** The failing users of a stratum, which is all that the evidence depends on. */
export function failuresOf({ share, treatment, control }: Stratum<FailureCount>): Events {
  return { share, treatment: treatment.failed, control: control.failed };
}

function inWords(
  users: Arms<number>,
  events: readonly Events[],
  effect: number | null,
  { low, high }: RatioInterval,
): string {
  const failed = {
    treatment: events.reduce((sum, { treatment }) => sum + treatment, 0),
    control: events.reduce((sum, { control }) => sum + control, 0),
  };
  const counts = `${failed.treatment} of ${users.treatment} users failed in treatment, ${failed.control} of ${users.control} in control`;
  if (failed.treatment + failed.control === 0) return counts;
  const range = high === null ? `at least ${shown(low)}` : `${shown(low)} to ${shown(high)}`;
  const estimate = effect === null ? 'no ratio yet' : `${shown(effect)} times as often`;
  return `${counts}: ${estimate}, stage by stage (${range})`;
}
