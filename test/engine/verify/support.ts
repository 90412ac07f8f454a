import type { z } from 'zod';
import type { VerifyCounts } from '../../../src/domain/verification.ts';
import type { BackfillJob } from '../../../src/engine/job.ts';
import type { VerifyJob } from '../../../src/engine/verify/job.ts';
import { type VerifyOptions, verifySlice } from '../../../src/engine/verify/slice.ts';
import { verifyPhase } from '../../../src/plan/schema/live-traffic.ts';
import type { Target } from '../../../src/targets/target.ts';

/** The verification of a backfill in chunks of 10 rows, which repairs unless told otherwise. */
export function verifyJobOf(
  { runId, phase, transforms }: BackfillJob,
  given: Partial<z.input<typeof verifyPhase>> = {},
  over: Partial<VerifyJob> = {},
): VerifyJob {
  const verify = verifyPhase.parse({
    kind: 'verify',
    name: 'check',
    onFailure: 'hold',
    backfill: phase.name,
    batchSize: 10,
    ...given,
  });
  return { runId, phase: verify, backfill: phase, syncs: [], transforms, attempt: 'first', ...over };
}

/** Short enough for tests, in which nobody writes unless the test says so. */
export const QUICK = { settleMs: 20, waitMs: 10, rowsPerRange: 25 } satisfies VerifyOptions;

/** Runs slices until the verification is done. */
export async function verifyToEnd(
  target: Target,
  job: VerifyJob,
  options: VerifyOptions = {},
): Promise<VerifyCounts> {
  for (;;) {
    const { done, counts } = await verifySlice(target, job, { ...QUICK, ...options });
    if (done) return counts;
  }
}

/** Counts of a verification of so many rows that found nothing but what is given. */
export function countsOf(checked: number, given: Partial<VerifyCounts> = {}): VerifyCounts {
  const others = {
    skipped: 0,
    waiting: 0,
    repaired: 0,
    differing: 0,
    ambiguous: 0,
    failed: 0,
    pending: 0,
    newlyFailed: 0,
    surplus: 0,
    ...given,
  };
  const { newlyFailed: _, surplus: __, ...parts } = others;
  const equal = checked - Object.values(parts).reduce((sum, rows) => sum + rows, 0);
  return { checked, equal, ...others };
}
