import fc from 'fast-check';
import { expect, it } from 'vitest';
import { shareInterval } from '../../src/domain/share-interval.ts';

it('is Wilson’s, at and between the ends', () => {
  // R: binom::binom.confint(x, n, methods = "wilson")
  expect(shareInterval(10, 100)).toMatchObject({
    low: expect.closeTo(0.0552, 3),
    high: expect.closeTo(0.1744, 3),
  });
  expect(shareInterval(0, 1000)).toMatchObject({ low: 0, high: expect.closeTo(0.00383, 4) });
  expect(shareInterval(1000, 1000)).toMatchObject({ low: expect.closeTo(0.9962, 3), high: 1 });
  expect(shareInterval(0, 0)).toEqual({ low: 0, high: 1 });
});

it('holds the share itself, within 0 and 1, and narrows with the sample', () => {
  const sample = fc
    .integer({ min: 1, max: 1_000_000 })
    .chain((total) => fc.tuple(fc.integer({ min: 0, max: total }), fc.constant(total)));
  fc.assert(
    fc.property(sample, ([count, total]) => {
      const { low, high } = shareInterval(count, total);
      expect(low).toBeGreaterThanOrEqual(0);
      expect(high).toBeLessThanOrEqual(1);
      expect(low).toBeLessThanOrEqual(count / total);
      expect(high).toBeGreaterThanOrEqual(count / total);
      const larger = shareInterval(count * 10, total * 10);
      expect(larger.high - larger.low).toBeLessThan(high - low);
    }),
  );
});
