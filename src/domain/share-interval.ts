import type { NumberRange } from './number-range.ts';

/** Standard normal quantile for 95 %, two-sided. */
const Z = 1.96;

/**
 * Between which two shares the true one lies with 95 % confidence, when `count` of `total` independently drawn ones were of
 * a kind: Wilson's score interval (E. B. Wilson, JASA 22, 1927), which holds for small counts and at 0 and 1 too.
 */
export function shareInterval(count: number, total: number): NumberRange {
  if (total <= 0) return { low: 0, high: 1 };
  const share = count / total;
  const z2 = Z * Z;
  const centre = (share + z2 / (2 * total)) / (1 + z2 / total);
  const margin = (Z / (1 + z2 / total)) * Math.sqrt((share * (1 - share)) / total + z2 / (4 * total * total));
  return {
    low: count === 0 ? 0 : Math.max(0, centre - margin),
    high: count === total ? 1 : Math.min(1, centre + margin),
  };
}
