/** One value for the users who get the new behaviour, one for those who don't. */
export type Arms<T> = { treatment: T; control: T };

/** Users who failed at least once, of the users seen. */
export type FailureCount = {
  /** Users seen; users, not requests. */
  users: number;
  /** Those of them who failed at least once. */
  failed: number;
};

/** Values that each stand for one user, such as the logarithm of their mean latency. */
export type UserMean = {
  /** Users with a value; users, not requests. */
  users: number;
  /** Mean over users; any number while there are none. */
  mean: number;
  /** Sample variance over users (divided by users − 1); any number while there are fewer than two. */
  variance: number;
};

/**
 * What was counted while the treatment's share stayed the same, from the beginning of the stage until now. Arms are only
 * compared within a stratum: the share and the base rate both change from stage to stage, and pooled they pass for an effect.
 */
export type Stratum<T> = Arms<T> & {
  /** Tells strata apart. A stage whose share changes goes on as another stratum. */
  stage: string;
  /** Which part of the users counted here the plan gives to the treatment, 0 to 1. See `newlyAssignedShare`. */
  share: number;
};

type Counts = { users: number; failed?: number };

const ARMS = ['treatment', 'control'] as const;

/**
 * The strata after a measurement. It counts from the beginning of its stage, so it takes the place of the one before: measured
 * again after a crash it changes nothing.
 * @throws RangeError when the counts are none, or smaller than before, or the share of the stage has changed. Counts that
 * shrink are those of an interval or a window, and would be judged as if they were all there is.
 */
export function withMeasurement<T extends Counts>(
  strata: readonly Stratum<T>[],
  measured: Stratum<T>,
): Stratum<T>[] {
  checkStratum(measured);
  const index = strata.findIndex(({ stage }) => stage === measured.stage);
  const before = strata[index];
  if (!before) return [...strata, measured];
  checkGrowth(before, measured);
  return strata.with(index, measured);
}

/**
 * The treatment's share among users who were not in the treatment before, when the share of all users rises from `before` (the
 * highest so far) to `now`. Cohorts are nested: whoever was in the treatment stays in it, so that chance plays no part in
 * where they are, and whatever was particular about them would be counted a second time. Of the others, this part is drawn anew.
 */
export function newlyAssignedShare(before: number, now: number): number {
  if (!(before >= 0 && before < 1 && now >= before && now <= 1)) {
    throw new RangeError(`shares rise from 0 to 1, but ${before} is followed by ${now}`);
  }
  return (now - before) / (1 - before);
}

/** Strata in which both arms can have users. At a share of 0 or 1 there is nothing to compare with. */
export function comparable<T>(strata: readonly Stratum<T>[]): Stratum<T>[] {
  return strata.filter(({ share }) => share > 0 && share < 1);
}

export function usersPerArm<T extends { users: number }>(strata: readonly Stratum<T>[]): Arms<number> {
  const sum = (arm: keyof Arms<T>) => strata.reduce((users, stratum) => users + stratum[arm].users, 0);
  return { treatment: sum('treatment'), control: sum('control') };
}

function checkStratum<T extends Counts>(measured: Stratum<T>): void {
  const { stage, share } = measured;
  if (!(share >= 0 && share <= 1)) throw new RangeError(`stage ${stage}: ${share} is no share of 0 to 1`);
  for (const arm of ARMS) {
    const { users, failed = 0 } = measured[arm];
    if (!Number.isSafeInteger(users) || !Number.isSafeInteger(failed) || failed < 0 || failed > users) {
      throw new RangeError(`stage ${stage}, ${arm}: ${failed} failed of ${users} users is no count of users`);
    }
    const broken = Object.entries(measured[arm]).find(([, value]) => !Number.isFinite(value));
    if (broken) throw new RangeError(`stage ${stage}, ${arm}: ${broken[0]} is ${broken[1]}, wanted a number`);
  }
}

function checkGrowth<T extends Counts>(before: Stratum<T>, now: Stratum<T>): void {
  if (before.share !== now.share) {
    throw new RangeError(
      `stage ${now.stage}: the share was ${before.share} and is ${now.share}; count under another name from the change on`,
    );
  }
  for (const arm of ARMS) {
    const [earlier, later] = [before[arm], now[arm]];
    if (later.users < earlier.users || (later.failed ?? 0) < (earlier.failed ?? 0)) {
      throw new RangeError(
        `stage ${now.stage}, ${arm}: ${inWords(earlier)} before, ${inWords(later)} now; count from the beginning of the stage`,
      );
    }
  }
}

function inWords({ users, failed }: Counts): string {
  return failed === undefined ? `${users} users` : `${failed} of ${users} users failed`;
}
