import { logMeanExp } from './log-space.ts';
import type { Arms } from './strata.ts';

/** Users to whom something happened in one stratum, by arm. */
export type Events = Arms<number> & {
  /** The treatment's part of all users of the stratum, those included to whom nothing happened; above 0 and below 1. */
  share: number;
};

/** From where to where a ratio lies. */
export type RatioInterval = {
  low: number;
  /** Null where there is no upper end yet. */
  high: number | null;
};

/** Ratios that the evidence is spread over, as multiples of the limit: from a slight rise to a failure of the whole. */
const MULTIPLES = [1.1, 1.25, 1.5, 2, 3, 5, 10];
const FRACTIONS = MULTIPLES.map((multiple) => 1 / multiple);

/** Ratios are looked for within e^±46, about 1e±20. */
const LARGEST_LOG_RATIO = 46;
const BISECTIONS = 60;

/**
 * Evidence that the event is more than `limit` times as frequent in the treatment as in control: the natural logarithm of an
 * e-process. If it is not, the chance that this ever reaches ln(1/α) is at most α, at whatever moments it is looked at.
 *
 * Given that an event happened in stratum k, it fell on the treatment with the probability ρ_k r / (1 + ρ_k (r − 1)), where ρ_k
 * is the treatment's share and r the ratio of the frequencies. The frequency itself has cancelled out, so it may drift at will. The
 * likelihood ratio of r against the limit r0 is, with S events in the treatment and N_k in both arms of stratum k,
 *
 *   ln E_r = S ln(r / r0) − Σ_k N_k ln[(1 + ρ_k (r − 1)) / (1 + ρ_k (r0 − 1))]
 *
 * and its mean over several r > r0 is an e-process for every true ratio ≤ r0.
 * In the spirit of M. Lindon, A. Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022, arXiv 2011.03567.
 */
export function logEvidenceAbove(events: readonly Events[], limit: number): number {
  return logMeanExp(MULTIPLES.map((multiple) => logLikelihoodRatio(events, multiple * limit, limit)));
}

/** Evidence that the event is less than `limit` times as frequent in the treatment as in control; see `logEvidenceAbove`. */
export function logEvidenceBelow(events: readonly Events[], limit: number): number {
  return logMeanExp(FRACTIONS.map((fraction) => logLikelihoodRatio(events, fraction * limit, limit)));
}

/**
 * The ratio under which what happened is likeliest, stratum by stratum. Null while nothing happened, or nothing in control,
 * so that it has no upper bound.
 */
export function likeliestRatio(events: readonly Events[]): number | null {
  const treatment = events.reduce((sum, stratum) => sum + stratum.treatment, 0);
  const control = events.reduce((sum, stratum) => sum + stratum.control, 0);
  if (control === 0) return null;
  if (treatment === 0) return 0;
  const expected = (ratio: number) =>
    events.reduce(
      (sum, { share, treatment, control }) =>
        sum + ((treatment + control) * share * ratio) / (1 + share * (ratio - 1)),
      0,
    );
  return highestRatio((ratio) => expected(ratio) < treatment);
}

/**
 * Ratios that the evidence does not exclude: the limits against which `logEvidenceAbove` stays below ln(1/alpha) and
 * `logEvidenceBelow` below ln(1/beta). At all moments at once, the true ratio lies below `low` with a probability of at most
 * alpha, and above `high` with one of at most beta.
 */
export function ratioInterval(events: readonly Events[], alpha: number, beta: number): RatioInterval {
  const isExcludedFromBelow = (ratio: number) => logEvidenceAbove(events, ratio) >= -Math.log(alpha);
  const isNotExcludedFromAbove = (ratio: number) => logEvidenceBelow(events, ratio) < -Math.log(beta);
  const most = Math.exp(LARGEST_LOG_RATIO);
  return {
    low: isExcludedFromBelow(1 / most) ? highestRatio(isExcludedFromBelow) : 0,
    high: isNotExcludedFromAbove(most) ? null : highestRatio(isNotExcludedFromAbove),
  };
}

function logLikelihoodRatio(events: readonly Events[], ratio: number, limit: number): number {
  const logMultiple = Math.log(ratio / limit);
  return events.reduce((sum, { share, treatment, control }) => {
    const logShift = Math.log1p(share * (ratio - 1)) - Math.log1p(share * (limit - 1));
    return sum + treatment * logMultiple - (treatment + control) * logShift;
  }, 0);
}

/** The ratio up to which something holds that holds for small ratios only. */
export function highestRatio(holds: (ratio: number) => boolean): number {
  let [low, high] = [-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO];
  for (let i = 0; i < BISECTIONS; i++) {
    const middle = (low + high) / 2;
    if (holds(Math.exp(middle))) low = middle;
    else high = middle;
  }
  return Math.exp((low + high) / 2);
}
