import type { RowCounts } from '../../domain/counts.ts';
import { budgetExceeded } from '../../domain/error-budget.ts';
import {
  type Checkpoint,
  makeDurable,
  selectCheckpoint,
} from '../../targets/postgres/backfill/checkpoint.ts';
import { writingSession } from '../../targets/postgres/backfill/pin-session.ts';
import type { Claimant } from '../../targets/postgres/backfill/ranges.ts';
import { COMMIT_SOON } from '../../targets/postgres/commit-soon.ts';
import type { HeldSession, Target } from '../../targets/target.ts';
import { BackfillUndone, BudgetExceeded } from '../errors.ts';
import { type BackfillJob, type BatchProgress, batchOptions, SliceClock } from '../job.ts';
import { Lane } from './lane.ts';
import { type OpenOptions, openBackfill } from './open.ts';
import { type Pace, steadyPace } from './pace.ts';
import { withReadAhead } from './read-ahead.ts';
import { wait } from './wait.ts';

export type SliceResult = {
  done: boolean;
  /** Totals of the phase, over all slices and lanes. */
  counts: RowCounts;
  /** By this slice alone. */
  processedThisSlice: number;
  estimatedRows: number;
  /** No batch may run before; why says what is in the way. */
  closed?: { until: Date; why: string } | undefined;
};

export type ForwardOptions = OpenOptions & {
  /** The lane that this is; several lanes of a backfill may run at once, each under its own name. */
  claimant?: Claimant | undefined;
  pace?: Pace | undefined;
  onProgress?: ((progress: BatchProgress) => void) | undefined;
  /** Progress is told at most this often, in milliseconds. */
  progressMs?: number | undefined;
  /** Between two looks whether a range has come free, or the lane may go on, in milliseconds. */
  waitMs?: number | undefined;
};

const WAIT_MS = 500;

/**
 * Works as one lane of the backfill: claims a range of its keys, runs batches from where the range was committed last, and
 * goes on with the next range, until all rows are dealt with or the time is used up. Each batch is one transaction: its
 * rows, their pre-images, its exceptions and the range's cursor commit together or not at all. Call it again until it says
 * `done`; call it several times at once to work on several ranges, from as many processes as you like.
 * @throws BudgetExceeded when too many rows fail, BackfillUndone, BatchNeverEnds, the signal's reason, or the server's
 * error: in each case after what was committed before.
 */
export async function runSlice(
  target: Target,
  job: BackfillJob,
  options: ForwardOptions = {},
): Promise<SliceResult> {
  const { context, checkpoint } = await openBackfill(target, job, options);
  judgeBudget(job, checkpoint);
  // A batch's rows and the cursor that says that they are done are lost together; only the end of a slice waits for the disk.
  const connection = {
    ...batchOptions(options),
    prelude: `${writingSession({ runId: job.runId, phase: job.phase.name })}; ${COMMIT_SOON}`,
  };
  let lane: Lane | undefined;
  try {
    return await target.hold(connection, (held) =>
      withReadAhead(target, context, options, (ahead) => {
        lane = new Lane(held, job, context, checkpoint.id, options, ahead);
        return new Slice(job, held, lane, checkpoint, options).run();
      }),
    );
  } finally {
    await lane?.abandon(target);
  }
}

class Slice {
  readonly #job: BackfillJob;
  readonly #session: HeldSession;
  readonly #lane: Lane;
  readonly #pace: Pace;
  readonly #options: ForwardOptions;
  readonly #clock = new SliceClock();
  readonly #processedBefore: number;
  #checkpoint: Checkpoint;

  constructor(
    job: BackfillJob,
    session: HeldSession,
    lane: Lane,
    checkpoint: Checkpoint,
    options: ForwardOptions,
  ) {
    this.#job = job;
    this.#session = session;
    this.#lane = lane;
    this.#checkpoint = checkpoint;
    this.#processedBefore = checkpoint.counts.processed;
    this.#options = options;
    this.#pace = options.pace ?? steadyPace(job.phase);
  }

  async run(): Promise<SliceResult> {
    for (;;) {
      const admission = await this.#pace.admit(this.#session);
      if (admission.kind === 'closed') return this.#result(admission);
      if (admission.kind === 'stand-by') {
        await this.#lane.letGo();
        await this.#standBy();
        if (this.#checkpoint.done) return this.#result();
      } else if (!(await this.#lane.claim())) {
        if (await this.#nothingToClaim()) return this.#result();
      } else {
        await this.#batch(admission.rows);
      }
      if (this.#clock.isOver(this.#options)) return this.#result();
    }
  }

  async #batch(rows: number): Promise<void> {
    const started = this.#clock.elapsedMs();
    const batch = await this.#lane.batch(rows, this.#pace);
    const batchMs = this.#clock.elapsedMs() - started;
    if (!batch) return;
    this.#pace.took({ rows: batch.rows, ms: batchMs });
    if (batch.counts.failed > 0 || this.#clock.isTimeToTell(this.#options)) await this.#tell(batchMs);
  }

  /** Are all ranges done, or only in other hands? */
  async #nothingToClaim(): Promise<boolean> {
    await this.#look();
    if (this.#checkpoint.done) return true;
    await this.#wait();
    return false;
  }

  /** Watchers are told also while nothing is done, as that has a reason which they want to know. */
  async #standBy(): Promise<void> {
    await this.#wait();
    if (this.#clock.isTimeToTell(this.#options)) await this.#tell(0);
    else await this.#look();
  }

  #wait(): Promise<void> {
    const { waitMs = WAIT_MS, signal } = this.#options;
    return wait(waitMs, signal);
  }

  async #look(): Promise<void> {
    const { runId, phase } = this.#job;
    const checkpoint = await selectCheckpoint(this.#session, runId, phase.name);
    if (!checkpoint || checkpoint.direction === 'undo') throw new BackfillUndone(runId, phase.name);
    this.#checkpoint = checkpoint;
    judgeBudget(this.#job, checkpoint);
  }

  async #tell(batchMs: number): Promise<void> {
    await this.#look();
    this.#clock.told();
    const { counts } = this.#checkpoint;
    this.#options.onProgress?.({
      counts,
      estimatedRows: estimate(this.#checkpoint),
      rowsPerSecond: this.#clock.rate(counts.processed - this.#processedBefore),
      batchMs,
    });
  }

  async #result(closed?: { until: Date; why: string }): Promise<SliceResult> {
    await this.#lane.letGo();
    await makeDurable(this.#session, this.#checkpoint);
    await this.#look();
    const { done, counts } = this.#checkpoint;
    return {
      done,
      counts,
      processedThisSlice: this.#lane.processed,
      estimatedRows: estimate(this.#checkpoint),
      ...(closed ? { closed: { until: closed.until, why: closed.why } } : {}),
    };
  }
}

function judgeBudget({ phase }: BackfillJob, { counts }: Checkpoint): void {
  const exceeded = budgetExceeded(phase.errorBudget, counts);
  if (exceeded) throw new BudgetExceeded(phase.name, exceeded);
}

/** Never less than what is already done. */
function estimate({ done, counts, estimatedRows }: Checkpoint): number {
  return done ? counts.processed : Math.max(estimatedRows, counts.processed);
}
