import { logGamma } from '../../src/domain/statistics/log-space.ts';

/** Uniform numbers between 0 and 1, both excluded. */
export type Random = () => number;

/** The same numbers for the same seed: xoshiro128** (D. Blackman, S. Vigna, 2018), its state filled by a Weyl sequence. */
export function seeded(seed: number): Random {
  const state = new Uint32Array(4);
  for (let i = 0; i < state.length; i++) state[i] = scrambled(seed + (i + 1) * 0x9e3779b9);
  let [a = 1, b = 0, c = 0, d = 0] = state;
  return () => {
    const product = Math.imul(rotated(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotated(d, 11);
    return (product + 0.5) / 2 ** 32;
  };
}

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** The finalizer of MurmurHash3 (A. Appleby): neighbouring seeds give unrelated states. */
function scrambled(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** A standard normal number (G. Box, M. Muller, 1958). */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
}

/** How many of n independent events of probability p happen, counted up from 0: for n·p up to some hundreds. */
export function binomial(random: Random, n: number, p: number): number {
  const odds = p / (1 - p);
  let probability = (1 - p) ** n;
  if (probability < Number.MIN_VALUE / Number.EPSILON)
    throw new RangeError(`${n} events of ${p} are too many`);
  let rest = random() - probability;
  let count = 0;
  while (rest > 0 && count < n) {
    count++;
    probability *= (odds * (n - count + 1)) / count;
    rest -= probability;
  }
  return count;
}

/** The same for one n and p of any size, by a table of all outcomes. */
export function binomialTable(n: number, p: number): (random: Random) => number {
  const cumulative = new Float64Array(n + 1);
  let sum = 0;
  for (let k = 0; k <= n; k++) {
    const logWays = logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);
    sum += Math.exp(logWays + k * Math.log(p) + (n - k) * Math.log1p(-p));
    cumulative[k] = sum;
  }
  return (random) => firstAbove(cumulative, random() * sum);
}

/** Index of the first of rising values that is above the given one; the last index if none is. */
export function firstAbove(rising: Float64Array, value: number): number {
  let [low, high] = [0, rising.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rising[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
