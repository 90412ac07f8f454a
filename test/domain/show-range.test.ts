import { expect, it } from 'vitest';
import { formatByteRange, formatBytes, formatSecondRange } from '../../src/domain/show-range.ts';

it.each([
  [0, '0 B'],
  [512, '512 B'],
  [999.6, '1.0 kB'],
  [1_400, '1.4 kB'],
  [9_960, '10 kB'],
  [52_300_000, '52 MB'],
  [999_600_000, '1.0 GB'],
  [2_100_000_000, '2.1 GB'],
  [7e15, '7.0 PB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

it('a range is told by both its ends, unless they are the same', () => {
  expect(formatByteRange({ low: 1_200_000_000, high: 2_100_000_000 })).toBe('1.2 GB to 2.1 GB');
  expect(formatByteRange({ low: 0, high: 0 })).toBe('0 B');
  expect(formatSecondRange({ low: 190, high: 485 })).toBe('3m 10s to 8m 5s');
});
