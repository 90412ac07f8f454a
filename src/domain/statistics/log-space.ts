/** ln of the mean of the numbers whose logarithms are given; neither overflows nor underflows. */
export function logMeanExp(logs: readonly number[]): number {
  const highest = Math.max(...logs);
  if (!Number.isFinite(highest)) return highest;
  const sum = logs.reduce((total, log) => total + Math.exp(log - highest), 0);
  return highest + Math.log(sum / logs.length);
}

/** ln B(a, b) of the beta function, for a, b > 0. */
export function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

/** From here on five terms of the series are exact to the last bits of a double. */
const SERIES_FROM = 12;

/**
 * ln Γ(x) for x > 0: Stirling's series (NIST DLMF 5.11.1), reached for small x by Γ(x + 1) = x Γ(x).
 * The relative error is below 1e-13.
 */
export function logGamma(x: number): number {
  let shift = 0;
  let y = x;
  // Logarithms are added one by one: their product would underflow for a tiny x.
  for (; y < SERIES_FROM; y++) shift += Math.log(y);
  const inverse = 1 / (y * y);
  const series =
    (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse / 1188)))) / y;
  return (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
