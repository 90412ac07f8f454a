import type { Stratum, UserMean } from '../../src/domain/statistics/strata.ts';
import type { Method } from './alarms.ts';
import { isAboveSequence, LOOKS_PER_STAGE, SHARES, Z_95, zScore } from './failures.ts';
import { normal, type Random } from './random.ts';

/** The same users, once by the logarithms of their latencies, once by the latencies, capped. */
export type Latencies = { log: Stratum<UserMean>[]; capped: Stratum<UserMean>[] };

export const LATENCY_USERS_PER_LOOK = 400;
const CAP_MS = 2_000;

/** By how much all latencies are higher in a stage, as a logarithm. */
export type BaseShift = (stage: number) => number;
export const BASE_SHIFTS = { stable: () => 0, drifting: (stage: number) => 0.3 * stage };

/**
 * What has been measured at each look of one rollout, as `failureLooks`, with 400 users between two looks.
 * @param ratio how many times as long each request of the treatment takes.
 */
export function* latencyLooks(random: Random, baseShift: BaseShift, ratio: number): Iterable<Latencies> {
  const strata: Latencies = { log: [], capped: [] };
  for (const [stage, share] of SHARES.entries()) {
    const stratum = () => ({ stage: String(stage), share, treatment: nobody(), control: nobody() });
    const [log, capped] = [stratum(), stratum()];
    strata.log.push(log);
    strata.capped.push(capped);
    for (let look = 0; look < LOOKS_PER_STAGE; look++) {
      for (let user = 0; user < LATENCY_USERS_PER_LOOK; user++) {
        const arm = random() < share ? 'treatment' : 'control';
        const latency = logLatency(random) + baseShift(stage) + (arm === 'treatment' ? Math.log(ratio) : 0);
        add(log[arm], latency);
        add(capped[arm], Math.min(Math.exp(latency), CAP_MS));
      }
      yield strata;
    }
  }
}

export function latencyMethods(alpha: number): Method<Latencies>[] {
  return [
    { name: 'naive z test', isAlarmed: ({ log }) => hasTwo(log) && zScore([pooledMeans(log)]) > Z_95 },
    { name: 'logarithms', isAlarmed: ({ log }) => isAboveSequence(log, alpha) },
    { name: 'capped', isAlarmed: ({ capped }) => isAboveSequence(capped, alpha) },
  ];
}

/** ln of milliseconds: nine users of ten at about 80 ms, one on a slow path at about 400 ms with a long tail. */
function logLatency(random: Random): number {
  return random() < 0.9 ? Math.log(80) + 0.4 * normal(random) : Math.log(400) + 0.8 * normal(random);
}

function nobody(): UserMean {
  return { users: 0, mean: 0, variance: 0 };
}

/** One user more (B. P. Welford, Technometrics 4, 1962). */
function add(arm: UserMean, value: number): void {
  const delta = value - arm.mean;
  const squares = arm.variance * Math.max(arm.users - 1, 0);
  arm.users += 1;
  arm.mean += delta / arm.users;
  if (arm.users > 1) arm.variance = (squares + delta * (value - arm.mean)) / (arm.users - 1);
}

function hasTwo(strata: readonly Stratum<UserMean>[]): boolean {
  return strata.some(({ treatment, control }) => treatment.users > 1 && control.users > 1);
}

function pooledMeans(strata: readonly Stratum<UserMean>[]): Stratum<UserMean> {
  return {
    stage: 'all',
    share: 0.5,
    treatment: merged(strata, 'treatment'),
    control: merged(strata, 'control'),
  };
}

function merged(strata: readonly Stratum<UserMean>[], arm: 'treatment' | 'control'): UserMean {
  const users = strata.reduce((sum, stratum) => sum + stratum[arm].users, 0);
  const mean = strata.reduce((sum, stratum) => sum + stratum[arm].users * stratum[arm].mean, 0) / users;
  const squares = strata.reduce(
    (sum, { [arm]: { users, mean: own, variance } }) =>
      sum + variance * Math.max(users - 1, 0) + users * (own - mean) ** 2,
    0,
  );
  return { users, mean, variance: squares / (users - 1) };
}
