import type { BackfillPhase, VerifyPhase } from '../../domain/plan.ts';
import type { BackfillJob } from '../job.ts';
import type { TransformRegistry } from '../transform/transform.ts';

/** One verify phase of one run, with the backfill that it names. */
export type VerifyJob = {
  runId: string;
  phase: VerifyPhase;
  backfill: BackfillPhase;
  /** Names of the run's sync phases for that backfill: what waits in their queues is no drift. */
  syncs: readonly string[];
  transforms: TransformRegistry;
  /** Another one begins from the first row again; the same goes on where it was. */
  attempt: string;
};

/** The backfill whose rows are verified. */
export function backfillOf({ runId, backfill, transforms }: VerifyJob): BackfillJob {
  return { runId, phase: backfill, transforms };
}

/** There is nothing to verify yet. */
export class BackfillNotBegun extends Error {
  override name = 'BackfillNotBegun';

  constructor({ runId, phase, backfill }: VerifyJob) {
    super(
      `"${phase.name}" of run ${runId} cannot verify the backfill "${backfill.name}", which has not begun on this target; ` +
        'let it run first',
    );
  }
}
