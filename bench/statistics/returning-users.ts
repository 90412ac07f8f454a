import { type Events, logEvidenceAbove } from '../../src/domain/statistics/ratio-evidence.ts';
import { newlyAssignedShare } from '../../src/domain/statistics/strata.ts';
import type { Method } from './alarms.ts';
import { binomial, firstAbove, normal, type Random } from './random.ts';

/** The failures of the same requests, counted in three ways. */
export type Countings = {
  requests: Events[];
  /** Each user once per stage. */
  users: Events[];
  /** Each user once per stage, without those who were in the treatment before. */
  newlyAssigned: Events[];
};

/** A careful rollout: the more stages, the more often the same users are counted. */
const SHARES = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5];
const LOOKS_PER_STAGE = 15;
const REQUESTS_PER_LOOK = 2_000;
const POPULATION = 2_000;
const FAILURE_RATE = 0.01;
/** How often users fail is log-normally distributed: one in a hundred about 100 times as often as the one in the middle. */
const SPREAD = 2;

/** Cumulative shares of all failures by user. */
export function population(random: Random): Float64Array {
  const cumulative = new Float64Array(POPULATION);
  let sum = 0;
  for (let user = 0; user < POPULATION; user++) {
    sum += Math.exp(SPREAD * normal(random));
    cumulative[user] = sum;
  }
  return cumulative.map((value) => value / sum);
}

/**
 * What has been counted at each look of one rollout without any effect: the same 2,000 users come back all the time, cohorts
 * are nested, and who fails once is likely to fail again.
 */
export function* returningLooks(random: Random, failuresByUser: Float64Array): Iterable<Countings> {
  const buckets = new Float64Array(POPULATION).map(() => random());
  const counted: Countings = { requests: [], users: [], newlyAssigned: [] };
  for (const [stage, share] of SHARES.entries()) {
    const before = SHARES[stage - 1] ?? 0;
    const [requests, users, newlyAssigned] = [share, share, newlyAssignedShare(before, share)].map(
      (share) => ({ share, treatment: 0, control: 0 }),
    ) as [Events, Events, Events];
    counted.requests.push(requests);
    counted.users.push(users);
    counted.newlyAssigned.push(newlyAssigned);
    const seen = new Set<number>();
    for (let look = 0; look < LOOKS_PER_STAGE; look++) {
      const failures = binomial(random, REQUESTS_PER_LOOK, FAILURE_RATE);
      for (let i = 0; i < failures; i++) {
        const user = firstAbove(failuresByUser, random());
        const bucket = buckets[user] ?? 0;
        const arm = bucket < share ? 'treatment' : 'control';
        requests[arm]++;
        if (seen.has(user)) continue;
        seen.add(user);
        users[arm]++;
        if (bucket >= before) newlyAssigned[arm]++;
      }
      yield counted;
    }
  }
}

export function countingMethods(alpha: number): Method<Countings>[] {
  return (['requests', 'users', 'newlyAssigned'] as const).map((name) => ({
    name,
    isAlarmed: (counted) => logEvidenceAbove(counted[name], 1) >= -Math.log(alpha),
  }));
}
