import { type BenchRow, row } from '../support/report.ts';
import { alarmRate, firstAlarms, type Method, medianLook } from './alarms.ts';
import {
  BASE_RATES,
  type BaseRate,
  type Counts,
  failureLooks,
  passMethod,
  rollbackMethods,
  sampleRatioMethod,
} from './failures.ts';
import { BASE_SHIFTS, type BaseShift, latencyLooks, latencyMethods } from './latencies.ts';
import { seeded } from './random.ts';
import { countingMethods, population, returningLooks } from './returning-users.ts';

const ALPHA = 0.05;
const SAMPLE_RATIO_ALPHA = 0.01;
const MARGIN = 1.5;
const SEED = 20_260_101;

const RUNS = {
  falseAlarms: 10_000,
  power: 4_000,
  latencyFalseAlarms: 4_000,
  latencyPower: 1_000,
  returning: 2_000,
};

/** Contrasts, which are expected to fail and promise nothing. */
const CONTRASTS = new Set(['naive z test', 'confidence sequence, pooled', 'requests', 'users']);

/** Looks at which half of the runs had an alarm in the study that this one repeats. */
const KNOWN_LOOKS: Record<string, number> = {
  'confidence sequence, ×2': 64,
  'confidence sequence, ×3': 34,
  'e-process, ×2': 47,
  'e-process, ×3': 15,
};

/** Error rates and power of the gates' statistics, by simulated rollouts that are looked at 180 times. */
export async function benchStatistics({ say }: { say: (line: string) => void }): Promise<BenchRow[]> {
  return [
    ...failureFalseAlarms(say),
    ...failurePower(say),
    ...nonInferiority(say),
    ...latencies(say),
    ...sampleRatio(say),
    ...returningUsers(say),
  ];
}

function failureFalseAlarms(say: (line: string) => void): BenchRow[] {
  return Object.entries(BASE_RATES).flatMap(([name, baseRate]) => {
    say(`false alarms, failing users, base ${name}: ${RUNS.falseAlarms} runs`);
    const methods = rollbackMethods(ALPHA);
    const alarms = simulateFailures(RUNS.falseAlarms, methods, baseRate, 1);
    return methods.map((method) =>
      rateRow(`false alarms, ${name}: ${method.name}`, alarmRate(alarms, method.name), method.name, ALPHA),
    );
  });
}

function failurePower(say: (line: string) => void): BenchRow[] {
  return [2, 3].flatMap((ratio) => {
    say(`power, failing users, ×${ratio}: ${RUNS.power} runs`);
    const methods = rollbackMethods(ALPHA);
    const alarms = simulateFailures(RUNS.power, methods, BASE_RATES.stable, ratio);
    return methods.map(({ name }) => {
      const known = KNOWN_LOOKS[`${name}, ×${ratio}`];
      return row(
        `median look, ×${ratio}: ${name}`,
        medianLook(alarms, name),
        'looks',
        known === undefined ? {} : { goal: `<= ${known}` },
      );
    });
  });
}

function nonInferiority(say: (line: string) => void): BenchRow[] {
  say(`proof of non-inferiority, margin ${MARGIN}: ${RUNS.power} runs each`);
  const method = passMethod(MARGIN, ALPHA);
  const passes = (ratio: number) => simulateFailures(RUNS.power, [method], BASE_RATES.stable, ratio);
  const alike = passes(1);
  return [
    rateRow(
      `false passes, ×${MARGIN}: non-inferiority to ×${MARGIN}`,
      alarmRate(passes(MARGIN), method.name),
      method.name,
      ALPHA,
    ),
    row(`passes, ×1: non-inferiority to ×${MARGIN}`, 100 * alarmRate(alike, method.name), '%'),
    row(`median look, ×1: non-inferiority to ×${MARGIN}`, medianLook(alike, method.name), 'looks'),
  ];
}

function latencies(say: (line: string) => void): BenchRow[] {
  const methods = latencyMethods(ALPHA);
  const falseAlarms = Object.entries(BASE_SHIFTS).flatMap(([name, baseShift]) => {
    say(`false alarms, latencies, base ${name}: ${RUNS.latencyFalseAlarms} runs`);
    const alarms = simulateLatencies(RUNS.latencyFalseAlarms, baseShift, 1);
    return methods.map((method) =>
      rateRow(
        `false alarms, latencies, ${name}: ${method.name}`,
        alarmRate(alarms, method.name),
        method.name,
        ALPHA,
      ),
    );
  });
  const power = [1.1, 1.2].flatMap((ratio) => {
    say(`power, latencies, ×${ratio}: ${RUNS.latencyPower} runs`);
    const alarms = simulateLatencies(RUNS.latencyPower, BASE_SHIFTS.stable, ratio);
    return methods.map(({ name }) =>
      row(`median look, latencies, ×${ratio}: ${name}`, medianLook(alarms, name), 'looks'),
    );
  });
  return [...falseAlarms, ...power];
}

function sampleRatio(say: (line: string) => void): BenchRow[] {
  say(`sample ratio: ${RUNS.falseAlarms} and ${RUNS.power} runs`);
  const method = sampleRatioMethod(SAMPLE_RATIO_ALPHA);
  const simulate = (runs: number, kept: number) =>
    firstAlarms(runs, [method], () => failureLooks(random, BASE_RATES.stable, 1, kept));
  const random = seeded(SEED);
  return [
    rateRow(
      'false alarms, all users counted: sample ratio',
      alarmRate(simulate(RUNS.falseAlarms, 1), method.name),
      method.name,
      SAMPLE_RATIO_ALPHA,
    ),
    ...[0.95, 0.8].map((kept) =>
      row(
        `median look, ${Math.round(100 * (1 - kept))} % of the treatment lost: sample ratio`,
        medianLook(simulate(RUNS.power, kept), method.name),
        'looks',
      ),
    ),
  ];
}

function returningUsers(say: (line: string) => void): BenchRow[] {
  say(`false alarms, users who come back: ${RUNS.returning} runs`);
  const random = seeded(SEED);
  const failuresByUser = population(random);
  const methods = countingMethods(ALPHA);
  const alarms = firstAlarms(RUNS.returning, methods, () => returningLooks(random, failuresByUser));
  return methods.map(({ name }) =>
    rateRow(`false alarms, returning users: ${name}`, alarmRate(alarms, name), name, ALPHA),
  );
}

function simulateFailures(runs: number, methods: Method<Counts>[], baseRate: BaseRate, ratio: number) {
  const random = seeded(SEED);
  return firstAlarms(runs, methods, () => failureLooks(random, baseRate, ratio));
}

function simulateLatencies(runs: number, baseShift: BaseShift, ratio: number) {
  const random = seeded(SEED);
  return firstAlarms(runs, latencyMethods(ALPHA), () => latencyLooks(random, baseShift, ratio));
}

function rateRow(name: string, rate: number, method: string, limit: number): BenchRow {
  return row(name, 100 * rate, '%', CONTRASTS.has(method) ? {} : { goal: `<= ${100 * limit}` });
}
