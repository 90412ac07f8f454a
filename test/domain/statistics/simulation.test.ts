import { describe, expect, it } from 'vitest';
import { alarmRate, firstAlarms, medianLook } from '../../../bench/statistics/alarms.ts';
import {
  BASE_RATES,
  failureLooks,
  passMethod,
  rollbackMethods,
  sampleRatioMethod,
} from '../../../bench/statistics/failures.ts';
import { BASE_SHIFTS, latencyLooks, latencyMethods } from '../../../bench/statistics/latencies.ts';
import { binomial, binomialTable, normal, seeded } from '../../../bench/statistics/random.ts';
import { countingMethods, population, returningLooks } from '../../../bench/statistics/returning-users.ts';

/** The full simulation is `npm run bench -- statistics`; this one has fewer runs of the same, with fixed seeds. */
const ALPHA = 0.05;
const RUNS = 500;

describe('random numbers', () => {
  it('have the moments that they should', () => {
    const random = seeded(1);
    const table = binomialTable(2_000, 0.1);
    const moments = (draw: () => number) => {
      const values = Array.from({ length: 20_000 }, draw);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length };
    };
    // Four standard errors each
    const uniform = moments(random);
    expect(Math.abs(uniform.mean - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / 20_000));
    const gaussian = moments(() => normal(random));
    expect(Math.abs(gaussian.mean)).toBeLessThan(4 / Math.sqrt(20_000));
    expect(Math.abs(gaussian.variance - 1)).toBeLessThan(4 * Math.sqrt(2 / 20_000));
    const counted = moments(() => binomial(random, 1_000, 0.01));
    expect(Math.abs(counted.mean - 10)).toBeLessThan(4 * Math.sqrt(9.9 / 20_000));
    expect(Math.abs(counted.variance / 9.9 - 1)).toBeLessThan(0.05);
    const split = moments(() => table(random));
    expect(Math.abs(split.mean - 200)).toBeLessThan(4 * Math.sqrt(180 / 20_000));
    expect(Math.abs(split.variance / 180 - 1)).toBeLessThan(0.05);
  });
});

describe('false alarms with a look after every 2,000 users', () => {
  it.each(Object.entries(BASE_RATES))('stay below alpha with a base that is %s', (_, baseRate) => {
    const random = seeded(2);
    const alarms = firstAlarms(RUNS, rollbackMethods(ALPHA), () => failureLooks(random, baseRate, 1));
    expect(alarmRate(alarms, 'e-process')).toBeLessThanOrEqual(ALPHA);
    expect(alarmRate(alarms, 'confidence sequence')).toBeLessThanOrEqual(ALPHA);
    // The rollouts are such that a test for one look goes wrong.
    expect(alarmRate(alarms, 'naive z test')).toBeGreaterThan(4 * ALPHA);
  });

  it.each(Object.entries(BASE_SHIFTS))(
    'of latencies stay below alpha with a base that is %s',
    (_, baseShift) => {
      const random = seeded(3);
      const alarms = firstAlarms(100, latencyMethods(ALPHA), () => latencyLooks(random, baseShift, 1));
      expect(alarmRate(alarms, 'logarithms')).toBeLessThanOrEqual(ALPHA);
      expect(alarmRate(alarms, 'capped')).toBeLessThanOrEqual(ALPHA);
      expect(alarmRate(alarms, 'naive z test')).toBeGreaterThan(2 * ALPHA);
    },
  );

  it('stay below alpha where users come back, once those are left out who were in the treatment before', () => {
    const random = seeded(4);
    const failuresByUser = population(random);
    const alarms = firstAlarms(800, countingMethods(ALPHA), () => returningLooks(random, failuresByUser));
    expect(alarmRate(alarms, 'newlyAssigned')).toBeLessThanOrEqual(ALPHA);
    expect(alarmRate(alarms, 'users')).toBeGreaterThan(ALPHA);
    expect(alarmRate(alarms, 'requests')).toBeGreaterThan(4 * ALPHA);
  });

  it('of the sample ratio stay below its alpha', () => {
    const random = seeded(5);
    const alarms = firstAlarms(RUNS, [sampleRatioMethod(0.01)], () =>
      failureLooks(random, BASE_RATES.stable, 1),
    );
    expect(alarmRate(alarms, 'sample ratio')).toBeLessThanOrEqual(0.01);
  });
});

describe('power', () => {
  it.each([
    { ratio: 2, eProcess: 47, sequence: 64 },
    { ratio: 3, eProcess: 15, sequence: 34 },
  ])('finds failures ×$ratio by look $eProcess', ({ ratio, eProcess, sequence }) => {
    const random = seeded(20_260_101);
    // As many as in the full simulation: the median lies between two looks.
    const alarms = firstAlarms(4_000, rollbackMethods(ALPHA), () =>
      failureLooks(random, BASE_RATES.stable, ratio),
    );
    expect(medianLook(alarms, 'e-process')).toBeLessThanOrEqual(eProcess);
    expect(medianLook(alarms, 'confidence sequence')).toBeLessThanOrEqual(sequence);
    expect(alarmRate(alarms, 'e-process')).toBe(1);
  });

  it('finds a fifth of the treatment’s users missing within the first stage', () => {
    const random = seeded(7);
    const alarms = firstAlarms(200, [sampleRatioMethod(0.01)], () =>
      failureLooks(random, BASE_RATES.stable, 1, 0.8),
    );
    expect(medianLook(alarms, 'sample ratio')).toBeLessThanOrEqual(60);
  });
});

describe('proof of non-inferiority', () => {
  const passing = (ratio: number) => {
    const random = seeded(8);
    const alarms = firstAlarms(RUNS, [passMethod(1.5, ALPHA)], () =>
      failureLooks(random, BASE_RATES.stable, ratio),
    );
    return alarmRate(alarms, 'non-inferiority');
  };

  it('lets what is as bad as the margin pass in at most beta of the rollouts', () => {
    expect(passing(1.5)).toBeLessThanOrEqual(ALPHA);
  });

  it('lets what is as good as control pass before the end', () => {
    expect(passing(1)).toBeGreaterThan(0.95);
  });
});
