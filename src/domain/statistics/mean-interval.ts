import type { Stratum, UserMean } from './strata.ts';

/** Below so many users in an arm of a stratum, the spread of its values is not known well enough. */
export const FEWEST_USERS = 30;

/** The interval is narrowest about here: 5,000 users, half of them in the treatment. Elsewhere it is a little wider. */
const SHARPEST_AT = 5_000;

export type MeanDifference = {
  /** Mean of the treatment minus mean of control, compared within strata. */
  difference: number;
  standardError: number;
  /** Users that would tell as much if half of them were in the treatment. */
  effectiveUsers: number;
};

/** Strata in which both arms have users enough. */
export function withSpread(strata: readonly Stratum<UserMean>[]): Stratum<UserMean>[] {
  return strata.filter(
    ({ treatment, control }) => treatment.users >= FEWEST_USERS && control.users >= FEWEST_USERS,
  );
}

/**
 * The difference of means within strata, weighted by w_k = n_T n_C / (n_T + n_C), that is by how much a stratum tells:
 *
 *   Δ = Σ w_k Δ_k / Σ w_k,   SE² = Σ w_k² (s²_T / n_T + s²_C / n_C) / (Σ w_k)²
 *
 * @param strata with users in both arms; at least one.
 */
export function meanDifference(strata: readonly Stratum<UserMean>[]): MeanDifference {
  let [weights, difference, variance] = [0, 0, 0];
  for (const { treatment, control } of strata) {
    const weight = (treatment.users * control.users) / (treatment.users + control.users);
    weights += weight;
    difference += weight * (treatment.mean - control.mean);
    variance += weight * weight * (treatment.variance / treatment.users + control.variance / control.users);
  }
  return {
    difference: difference / weights,
    standardError: Math.sqrt(variance) / weights,
    effectiveUsers: 4 * weights,
  };
}

/**
 * How many standard errors the true difference may lie to one side of the estimate, with a chance of at most alpha that it ever
 * lies further, at whatever moments it is looked at: the one-sided asymptotic confidence sequence of I. Waudby-Smith, D. Arbour,
 * R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of
 * Statistics 52, 2024, arXiv 2103.06476 (Robbins' normal mixture with an estimated variance):
 *
 *   m(N) = √(2 (1 + 1/(Nρ²)) ln(1 + √(Nρ² + 1) / (2α))),   ρ² = (−2 ln 2α + ln(1 − 2 ln 2α)) / 5000
 *
 * N is the clock of the process, which must run as its variance grows. With a share that changes this is not the number of users:
 * one more at a share of 1 % adds as much as 0.04 do at 50 %. So it is the effective number, 4 Σ w_k.
 */
export function standardErrorsAllowed(effectiveUsers: number, alpha: number): number {
  const log = -2 * Math.log(2 * alpha);
  const clock = (effectiveUsers * (log + Math.log1p(log))) / SHARPEST_AT;
  return Math.sqrt(2 * (1 + 1 / clock) * Math.log1p(Math.sqrt(clock + 1) / (2 * alpha)));
}
