import { checkErrorRate, type Finding, noData, odds } from './finding.ts';
import { logBeta, logMeanExp } from './log-space.ts';
import { highestRatio, likeliestRatio } from './ratio-evidence.ts';
import { type Arms, comparable, type Stratum, usersPerArm } from './strata.ts';

/** Users of one arm. */
type Users = { users: number };
type Assigned = Arms<number> & { share: number };

/**
 * Users in the rarer arm that the prior is worth: from 1, any share is likely, to 1,000, one that is a few percent off.
 * The mean over several e-values is an e-value.
 */
const PRIOR_USERS = [1, 10, 100, 1_000];

/** Odds beyond which the search for the interval's ends is given up. */
const HIGHEST_ODDS = 1e12;

/**
 * Are as many users in the treatment as the plan says? If not, users are lost or assigned differently in one arm, and no comparison
 * of the arms means anything. A breach is proof of that; a pass is none, it says that nothing has been found so far.
 *
 * The effect is by how much the odds of being in the treatment are off: 1 is as planned.
 * @param alpha chance of ever being wrong about it.
 * @throws RangeError when alpha is no error rate.
 */
export function judgeSampleRatio(strata: readonly Stratum<Users>[], alpha: number): Finding {
  checkErrorRate('alpha', alpha);
  const compared = comparable(strata);
  const users = usersPerArm(compared);
  const total = users.treatment + users.control;
  if (total === 0) return noData(users, 'not enough data: no users counted');
  const assigned = compared.map(({ share, treatment, control }) => ({
    share,
    treatment: treatment.users,
    control: control.users,
  }));
  const worse = { value: logSampleRatioEvidence(assigned), limit: -Math.log(alpha) };
  const verdict = worse.value >= worse.limit ? 'breach' : 'pass';
  const planned = assigned.reduce(
    (sum, { share, treatment, control }) => sum + share * (treatment + control),
    0,
  );
  const reason = `${users.treatment} of ${total} users are in treatment, ${Math.round(planned)} were planned; evidence that the assignment is not as planned: ${odds(worse.value)}, ${odds(worse.limit)} needed${
    verdict === 'breach' ? '; until its cause is found, no comparison of the arms can be trusted' : ''
  }`;
  return {
    verdict,
    effect: likeliestRatio(assigned),
    interval: oddsInterval(assigned, worse.limit),
    worse,
    within: null,
    users,
    reason,
  };
}

/**
 * ln of the e-process that users are not assigned by their strata's shares: with n_T and n_C users of a stratum and ρ its share,
 *
 *   E = B(a + n_T, b + n_C) / [B(a, b) ρ^n_T (1 − ρ)^n_C]
 *
 * multiplied over strata, where a / (a + b) = ρ, and averaged over several strengths of that prior. The Dirichlet-multinomial
 * test for two arms of M. Lindon, A. Malek, arXiv 2011.03567.
 * @param oddsRatio test that the odds of being in the treatment are so many times those of the plan.
 */
export function logSampleRatioEvidence(assigned: readonly Assigned[], oddsRatio = 1): number {
  return logMeanExp(
    PRIOR_USERS.map((priorUsers) =>
      assigned.reduce((sum, stratum) => sum + logBayesFactor(stratum, oddsRatio, priorUsers), 0),
    ),
  );
}

function logBayesFactor(
  { share, treatment, control }: Assigned,
  oddsRatio: number,
  priorUsers: number,
): number {
  const strength = priorUsers / Math.min(share, 1 - share);
  const [a, b] = [strength * share, strength * (1 - share)];
  const logTotal = Math.log1p(share * (oddsRatio - 1));
  const logTreatment = Math.log(share * oddsRatio) - logTotal;
  const logControl = Math.log1p(-share) - logTotal;
  return (
    logBeta(a + treatment, b + control) - logBeta(a, b) - treatment * logTreatment - control * logControl
  );
}

/** Odds that the evidence does not exclude: those about the likeliest, as the evidence rises to both sides of it. */
function oddsInterval(assigned: readonly Assigned[], limit: number): Finding['interval'] {
  const middle = likeliestRatio(assigned) ?? HIGHEST_ODDS;
  const excluded = (ratio: number) => logSampleRatioEvidence(assigned, ratio) >= limit;
  const low = highestRatio((ratio) => ratio < middle && excluded(ratio));
  const high = highestRatio((ratio) => ratio <= middle || !excluded(ratio));
  return {
    low: excluded(1 / HIGHEST_ODDS) && middle > 0 ? low : 0,
    high: excluded(HIGHEST_ODDS) ? high : null,
  };
}
