import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sortableKey } from '../../src/domain/key-order.ts';

/** As PostgreSQL compares under the collation "C": by bytes of UTF-8. */
const inOrder = (keys: string[][]) =>
  [...keys].sort((a, b) => Buffer.compare(Buffer.from(sortableKey(a)), Buffer.from(sortableKey(b))));

it('sorts numbers by their size, whatever their digits', () => {
  const sorted = [
    '-1000',
    '-99.5',
    '-99.4',
    '-0.001',
    '0',
    '0.0001',
    '0.001',
    '0.01',
    '2',
    '10',
    '10.5',
    '1e+20',
  ];
  expect(inOrder(sorted.toReversed().map((n) => [n]))).toEqual(sorted.map((n) => [n]));
});

it('sorts the values of a composite key one after the other', () => {
  const sorted = [
    ['2', 'b', '10'],
    ['10', 'a', '9'],
    ['10', 'a', '10'],
    ['10', 'ab', '1'],
    ['10', 'b', '-1'],
    ['eu', '1', '1'],
  ];
  expect(inOrder(sorted.toReversed())).toEqual(sorted);
});

it('keeps texts that only begin like a number as texts', () => {
  const sorted = ['7', '', '-', '.', '12345678-0000-4000-8000-000000000000', '2025-01-15', 'e5'];
  expect(inOrder(sorted.toReversed().map((n) => [n]))).toEqual(sorted.map((n) => [n]));
});

it('sorts any two whole numbers as they compare', () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.bigInt(), (a, b) => {
      const [left, right] = [sortableKey([String(a)]), sortableKey([String(b)])];
      expect(left < right).toBe(a < b);
      expect(left === right).toBe(a === b);
    }),
  );
});

it('sorts any two decimal numbers as they compare', () => {
  const decimal = fc.tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.nat({ max: 20 }));
  const text = ([digits, scale]: [bigint, number]) => {
    const padded = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0');
    const whole = padded.slice(0, padded.length - scale);
    return `${digits < 0n ? '-' : ''}${whole}${scale > 0 ? `.${padded.slice(padded.length - scale)}` : ''}`;
  };
  fc.assert(
    fc.property(decimal, decimal, (a, b) => {
      const difference = a[0] * 10n ** BigInt(b[1]) - b[0] * 10n ** BigInt(a[1]);
      const [left, right] = [sortableKey([text(a)]), sortableKey([text(b)])];
      expect(left < right).toBe(difference < 0n);
      expect(left === right).toBe(difference === 0n);
    }),
  );
});
