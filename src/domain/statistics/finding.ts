import type { Arms } from './strata.ts';

/**
 * `breach`: proved worse than tolerated. `pass`: proved within the margin. `inconclusive`: neither so far; more users will tell.
 * `no-data`: too few users to say anything.
 */
export type FindingVerdict = 'breach' | 'pass' | 'inconclusive' | 'no-data';

/** How far the evidence has got; reached where value ≥ limit. */
export type Evidence = {
  value: number;
  limit: number;
};

/** What a comparison of treatment with control says at present. A value of JSON, without infinities. */
export type Finding = {
  verdict: FindingVerdict;
  /** The estimate, as a ratio or a difference; null where there is none. */
  effect: number | null;
  /** Where the effect lies, at all moments at once; null for an end that is open. */
  interval: { low: number | null; high: number | null };
  /** That it is worse than tolerated; null without data. */
  worse: Evidence | null;
  /** That it is within the margin; null without data, and for checks that prove nothing. */
  within: Evidence | null;
  /** Users compared, per arm. */
  users: Arms<number>;
  /** In words, for whoever is on call. */
  reason: string;
};

export function noData(users: Arms<number>, reason: string): Finding {
  const interval = { low: null, high: null };
  return { verdict: 'no-data', effect: null, interval, worse: null, within: null, users, reason };
}

/** Worse than tolerated goes before within the margin: both hold where the margin is wider than what is tolerated. */
export function verdictOf(worse: Evidence, within: Evidence): FindingVerdict {
  if (worse.value >= worse.limit) return 'breach';
  return within.value >= within.limit ? 'pass' : 'inconclusive';
}

/**
 * How much may be wrong, and how often.
 * - `tolerated`: what is proved worse than this is rolled back.
 * - `margin`: what is proved better than this passes. At least `tolerated`; an unchanged effect of exactly `tolerated` can
 *   never be proved better than it, so leave room between the two.
 * - `alpha`: chance of ever rolling back what is no worse than tolerated.
 * - `beta`: chance of ever passing what is no better than the margin.
 */
export type Limits = { tolerated: number; margin: number; alpha: number; beta: number };

/** @throws RangeError when they make no sense together. */
export function checkLimits({ tolerated, margin, alpha, beta }: Limits): void {
  if (!(tolerated <= margin)) {
    throw new RangeError(`the margin is ${margin}, wanted at least what is tolerated, ${tolerated}`);
  }
  for (const [name, chance] of [
    ['alpha', alpha],
    ['beta', beta],
  ] as const) {
    checkErrorRate(name, chance);
  }
}

/** @throws RangeError unless it is above 0 and below a half. */
export function checkErrorRate(name: string, chance: number): void {
  if (!(chance > 0 && chance < 0.5)) {
    throw new RangeError(`${name} is ${chance}, wanted an error rate above 0 and below 0.5`);
  }
}

/** At most three significant digits, and no exponent for what a person still reads: `0.0123`, `4.57`, `1240`. */
export function shown(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-4)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/** Odds of evidence whose natural logarithm is given: `53 to 1`. */
export function odds(logEvidence: number): string {
  // Above e^700 a double has no room; nobody needs the digits.
  if (logEvidence > 27) return 'over 10^11 to 1';
  return `${shown(Math.exp(logEvidence))} to 1`;
}
