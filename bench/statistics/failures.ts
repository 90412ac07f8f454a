import { failuresOf } from '../../src/domain/statistics/failures.ts';
import {
  meanDifference,
  standardErrorsAllowed,
  withSpread,
} from '../../src/domain/statistics/mean-interval.ts';
import { logEvidenceAbove, logEvidenceBelow } from '../../src/domain/statistics/ratio-evidence.ts';
import { logSampleRatioEvidence } from '../../src/domain/statistics/sample-ratio.ts';
import type { FailureCount, Stratum, UserMean } from '../../src/domain/statistics/strata.ts';
import type { Method } from './alarms.ts';
import { binomial, binomialTable, type Random } from './random.ts';

export type Counts = readonly Stratum<FailureCount>[];

export const SHARES = [0.01, 0.1, 0.5];
export const LOOKS_PER_STAGE = 60;
export const USERS_PER_LOOK = 2_000;

/** Share of control's users who fail, by the stage and look; looks are counted from 0 over all stages. */
export type BaseRate = (stage: number, look: number) => number;

export const BASE_RATES = {
  stable: () => 0.01,
  /** Twice as high in each stage as in the one before. */
  'drifting between stages': (stage) => 0.005 * 2 ** stage,
  /** Three days with their ups and downs, from 0.2 % to 1.8 %. */
  'drifting within stages': (_, look) => 0.01 + 0.008 * Math.sin((2 * Math.PI * look) / LOOKS_PER_STAGE),
} satisfies Record<string, BaseRate>;

const userSplits = SHARES.map((share) => binomialTable(USERS_PER_LOOK, share));

/**
 * What has been counted at each look of one rollout: 1, 10 and 50 %, 60 looks each, 2,000 users between two looks.
 * @param ratio how many times as often users fail in the treatment.
 * @param kept share of the treatment's users who are counted; the others are lost.
 */
export function* failureLooks(random: Random, baseRate: BaseRate, ratio: number, kept = 1): Iterable<Counts> {
  const strata: Stratum<FailureCount>[] = [];
  for (const [stage, share] of SHARES.entries()) {
    const [treatment, control] = [
      { users: 0, failed: 0 },
      { users: 0, failed: 0 },
    ];
    strata.push({ stage: String(stage), share, treatment, control });
    for (let look = 0; look < LOOKS_PER_STAGE; look++) {
      const rate = baseRate(stage, stage * LOOKS_PER_STAGE + look);
      const assigned = userSplits[stage]?.(random) ?? 0;
      const users = kept === 1 ? assigned : assigned - binomial(random, assigned, 1 - kept);
      treatment.users += users;
      treatment.failed += binomial(random, users, rate * ratio);
      control.users += USERS_PER_LOOK - assigned;
      control.failed += binomial(random, USERS_PER_LOOK - assigned, rate);
      yield strata;
    }
  }
}

/** What is compared. The first two are contrasts and are not part of Cutover. */
export function rollbackMethods(alpha: number): Method<Counts>[] {
  return [
    { name: 'naive z test', isAlarmed: (counts) => zScore(asMeans(pooled(counts))) > Z_95 },
    {
      name: 'confidence sequence, pooled',
      isAlarmed: (counts) => isAboveSequence(asMeans(pooled(counts)), alpha),
    },
    { name: 'confidence sequence', isAlarmed: (counts) => isAboveSequence(asMeans(counts), alpha) },
    {
      name: 'e-process',
      isAlarmed: (counts) => logEvidenceAbove(counts.map(failuresOf), 1) >= -Math.log(alpha),
    },
  ];
}

export function passMethod(margin: number, beta: number): Method<Counts> {
  return {
    name: 'non-inferiority',
    isAlarmed: (counts) => logEvidenceBelow(counts.map(failuresOf), margin) >= -Math.log(beta),
  };
}

export function sampleRatioMethod(alpha: number): Method<Counts> {
  return {
    name: 'sample ratio',
    isAlarmed: (counts) =>
      logSampleRatioEvidence(
        counts.map(({ share, treatment, control }) => ({
          share,
          treatment: treatment.users,
          control: control.users,
        })),
      ) >= -Math.log(alpha),
  };
}

/** Normal quantile of a one-sided test at 5 %. */
export const Z_95 = 1.645;

/** The difference of all users' means in standard errors, as a test for one look would have it. */
export function zScore(strata: readonly Stratum<UserMean>[]): number {
  const { difference, standardError } = meanDifference(strata);
  return standardError === 0 ? 0 : difference / standardError;
}

export function isAboveSequence(strata: readonly Stratum<UserMean>[], alpha: number): boolean {
  const judged = withSpread(strata);
  if (judged.length === 0) return false;
  const { difference, standardError, effectiveUsers } = meanDifference(judged);
  return difference > standardError * standardErrorsAllowed(effectiveUsers, alpha);
}

/** All strata as one, which is the mistake that stratification is for. */
function pooled(counts: Counts): Stratum<FailureCount>[] {
  const sum = (arm: 'treatment' | 'control') => ({
    users: counts.reduce((total, stratum) => total + stratum[arm].users, 0),
    failed: counts.reduce((total, stratum) => total + stratum[arm].failed, 0),
  });
  return [{ stage: 'all', share: 0.5, treatment: sum('treatment'), control: sum('control') }];
}

function asMeans(counts: Counts): Stratum<UserMean>[] {
  return counts.map((stratum) => ({
    ...stratum,
    treatment: asMean(stratum.treatment),
    control: asMean(stratum.control),
  }));
}

function asMean({ users, failed }: FailureCount): UserMean {
  const mean = failed / users;
  return { users, mean, variance: (mean * (1 - mean) * users) / (users - 1) };
}
