import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lossBetween } from '../../src/domain/loss.ts';

describe('what a value loses in a cast', () => {
  it.each([
    ['12.345', '12.35', 'rounded'],
    ['12.345', '12', 'rounded'],
    ['9007199254740993', '9.007199254740992e+15', 'rounded'],
    ['16777217', '1.6777216e+07', 'rounded'],
    ['0.123456789', '0.12345679', 'rounded'],
    ['-0.004', '0.00', 'rounded'],
    ['1.5e3', '1501', 'rounded'],
    ['01067', '1067', 'cut'],
    ['2024-02-29 10:30:00', '2024-02-29', 'cut'],
    ['2024-02-29T00:00:01Z', '2024-02-29', 'cut'],
    ['2024-02-29 10:30:00', '10:30:00', 'cut'],
    ['2024-02-29 10:30:00.123456', '2024-02-29 10:30:00', 'rounded'],
    ['2024-02-29 10:30:00.9', '2024-02-29 10:30:01', 'rounded'],
    ['10:30:00.25', '10:30:00.3', 'rounded'],
  ] as const)('%s kept as %s is %s', (source, target, loss) => {
    expect(lossBetween(source, target, false)).toBe(loss);
  });

  it.each([
    ['Reykjavík', 'Reykj'],
    ['Reykjavík', 'Reykj   '],
    ['12.345', '12.3'],
  ])('%s kept as the text "%s" is cut', (source, target) => {
    expect(lossBetween(source, target, true)).toBe('cut');
  });

  it.each([
    ['abc', 'abc  '],
    ['abc  ', 'abc'],
    ['Abc', 'abc'],
  ])('%s kept as the text "%s" is none, or not for us to tell', (source, target) => {
    expect(lossBetween(source, target, true)).toBeUndefined();
  });

  it.each([
    ['12.5', '12.50'],
    [' 12.50 ', '12.5'],
    ['+7', '7'],
    ['1.5e3', '1500'],
    ['1e-3', '0.001'],
    ['100', '1e+02'],
    ['0.0', '0'],
    ['-0', '0'],
    ['00', '00'],
    ['2024-02-29', '2024-02-29 00:00:00'],
    ['2024-02-29T10:30:00Z', '2024-02-29 10:30:00+00'],
    ['2024-02-29 12:30:00+02', '2024-02-29 10:30:00+00'],
    ['2024-02-29 00:00:00', '2024-02-29'],
    ['10:30', '10:30:00'],
    ['yes', 't'],
    ['{"a":1}', '{"a": 1}'],
    ['', '0'],
    ['NaN', 'NaN'],
  ])('%s kept as %s is none', (source, target) => {
    expect(lossBetween(source, target, false)).toBeUndefined();
  });

  it('of decimals is told exactly by whether the rounded number is another one', () => {
    const number = fc.tuple(
      fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
      fc.integer({ min: 0, max: 12 }),
    );
    fc.assert(
      fc.property(number, fc.integer({ min: 0, max: 12 }), ([unscaled, scale], kept) => {
        const text = pointed(unscaled, scale);
        const factor = 10n ** BigInt(Math.max(0, scale - kept));
        const rounded = pointed((unscaled / factor) * factor, scale);
        expect(lossBetween(text, rounded, false)).toBe(unscaled % factor === 0n ? undefined : 'rounded');
      }),
    );
  });
});

function pointed(unscaled: bigint, scale: number): string {
  const sign = unscaled < 0n ? '-' : '';
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const point = digits.length - scale;
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}
