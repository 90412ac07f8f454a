import type { BackfillPhase, SyncPhase } from '../../domain/plan.ts';
import type { BackfillJob } from '../job.ts';
import type { Transform, TransformRegistry } from '../transform/transform.ts';

/** One sync phase of one run, with the backfill that it names. */
export type SyncJob = {
  runId: string;
  phase: SyncPhase;
  backfill: BackfillPhase;
  transforms: TransformRegistry;
};

/** The backfill whose rows and transform these are. */
export function backfillOf({ runId, backfill, transforms }: SyncJob): BackfillJob {
  return { runId, phase: backfill, transforms };
}

/** The TypeScript function that decides about a row; undefined where SQL does. */
export function transformOf({ backfill, transforms }: SyncJob): Transform | undefined {
  const { transform } = backfill;
  return transform.kind === 'registered' ? transforms.lookup(transform.name, transform.version) : undefined;
}

/** The sync is not, or no longer, on the target. */
export class SyncNotInstalled extends Error {
  override name = 'SyncNotInstalled';

  constructor({ runId, phase }: SyncJob) {
    super(`the sync "${phase.name}" of run ${runId} is not installed on the target, or was removed`);
  }
}

/** The locks that a sync needs were not free in as many attempts as the plan allows. */
export class LocksNotFree extends Error {
  override name = 'LocksNotFree';

  constructor({ phase, backfill }: SyncJob, cause: unknown) {
    super(
      `the lock on ${backfill.table} was not free in ${phase.lockAttempts} attempts of up to ${phase.lockTimeout}; ` +
        'find who holds it with pg_blocking_pids() in pg_stat_activity, end that transaction, then resume',
      { cause },
    );
  }
}
