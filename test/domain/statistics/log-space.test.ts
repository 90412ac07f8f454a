import fc from 'fast-check';
import { expect, it } from 'vitest';
import { logBeta, logGamma, logMeanExp } from '../../../src/domain/statistics/log-space.ts';

it('has the logarithm of the gamma function', () => {
  expect(logGamma(1)).toBeCloseTo(0, 13);
  expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.sqrt(Math.PI)), 13);
  expect(logGamma(10)).toBeCloseTo(Math.log(362_880), 12);
  // ln Γ(x) = −ln x − γx + π²x²/12 − … about 0
  expect(logGamma(1e-5)).toBeCloseTo(
    -Math.log(1e-5) - 0.5772156649015329e-5 + (Math.PI ** 2 / 12) * 1e-10,
    12,
  );
  const factorials = Array.from({ length: 99 }, (_, i) => Math.log(i + 1)).reduce((sum, log) => sum + log, 0);
  expect(logGamma(100) / factorials).toBeCloseTo(1, 13);
});

it('keeps to Γ(x + 1) = x Γ(x) whatever the size', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1e7, noNaN: true }), (x) => {
      const next = logGamma(x + 1);
      expect(Math.abs(next - logGamma(x) - Math.log(x))).toBeLessThan(
        1e-13 * Math.max(1_000, Math.abs(next)),
      );
    }),
  );
});

it('has the logarithm of the beta function', () => {
  expect(logBeta(2, 3)).toBeCloseTo(Math.log(1 / 12), 12);
  expect(logBeta(1, 400)).toBeCloseTo(-Math.log(400), 11);
});

it('averages numbers that no double holds', () => {
  expect(logMeanExp([Math.log(1), Math.log(3)])).toBeCloseTo(Math.log(2), 14);
  expect(logMeanExp([5_000, 5_000 + Math.log(3)])).toBeCloseTo(5_000 + Math.log(2), 10);
  expect(logMeanExp([-5_000, -5_000 + Math.log(3)])).toBeCloseTo(-5_000 + Math.log(2), 10);
  expect(logMeanExp([Number.NEGATIVE_INFINITY, 0])).toBeCloseTo(-Math.log(2), 14);
});
