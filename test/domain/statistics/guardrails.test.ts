import { expect, it } from 'vitest';
import { alphaPerGuardrail } from '../../../src/domain/statistics/guardrails.ts';

it('splits alpha so that the parts add up to it', () => {
  expect(alphaPerGuardrail(0.05, 1)).toBe(0.05);
  expect(4 * alphaPerGuardrail(0.05, 4)).toBeCloseTo(0.05, 15);
});

it('refuses what cannot be split', () => {
  expect(() => alphaPerGuardrail(0.05, 0)).toThrow('0 guardrails, wanted at least one');
  expect(() => alphaPerGuardrail(0.05, 1.5)).toThrow(RangeError);
  expect(() => alphaPerGuardrail(1, 2)).toThrow('alpha is 1');
});
