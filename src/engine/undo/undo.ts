import { NO_ROWS } from '../../domain/counts.ts';
import {
  advanceUndo,
  type Checkpoint,
  makeDurable,
  selectCheckpoint,
} from '../../targets/postgres/backfill/checkpoint.ts';
import { hasUnseen } from '../../targets/postgres/backfill/journalled.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import { COMMIT_SOON } from '../../targets/postgres/commit-soon.ts';
import type { HeldSession, Target } from '../../targets/target.ts';
import { type Pace, steadyPace } from '../backfill/pace.ts';
import { Retries } from '../backfill/retries.ts';
import { wait } from '../backfill/wait.ts';
import { isRowError } from '../errors.ts';
import { type BackfillJob, type BatchProgress, batchOptions, SliceClock, type SliceOptions } from '../job.ts';
import { type BegunUndo, beginUndo } from './begin.ts';
import { type UndoContext, undoPrelude } from './context.ts';
import { type PutBack, putBack, putBackEach } from './put-back.ts';
import { recordLeft } from './record.ts';
import { SecondTry } from './second-try.ts';

export type UndoResult = {
  done: boolean;
  /** Rows that got their old values back, over all slices and lanes. */
  restored: number;
  /** Rows left as they are, because they changed since they were migrated; listed as exceptions of the kind `kept`. */
  kept: number;
  /** Rows that there are, or were, to restore. */
  rows: number;
  /** No batch may run before; why says what is in the way. */
  closed?: { until: Date; why: string } | undefined;
};

export type UndoOptions = SliceOptions & {
  pace?: Pace | undefined;
  /** Restored rows come as migrated, kept ones as skipped. */
  onProgress?: ((progress: BatchProgress) => void) | undefined;
  /** Progress is told at most this often, in milliseconds. */
  progressMs?: number | undefined;
  /** Between two looks whether rows have come free that another lane had taken, or the lane may go on, in milliseconds. */
  waitMs?: number | undefined;
};

const NOTHING_TO_UNDO: UndoResult = { done: true, restored: 0, kept: 0, rows: 0 };

const WAIT_MS = 500;

/**
 * Takes the backfill over, forward for good no more, and undoes it in batches, each one transaction, until all is undone or
 * the time is used up. Call it again until it says `done`; call it several times at once to work on several connections, from
 * as many processes as you like: each batch takes rows that nobody else has taken, and a row that is restored leaves the
 * journal in the same transaction, so that none is restored twice.
 * @throws BatchNeverEnds, the signal's reason, or the server's error: in each case after what was committed before.
 */
export async function undoSlice(
  target: Target,
  job: BackfillJob,
  options: UndoOptions = {},
): Promise<UndoResult> {
  const begun = await beginUndo(target, job, options);
  if (!begun) return NOTHING_TO_UNDO;
  // As for the backfill itself: a restored row and its place in the journal reach the disk together or not at all.
  const connection = { ...batchOptions(options), prelude: `${undoPrelude(job)}; ${COMMIT_SOON}` };
  return target.hold(connection, (held) => new UndoSlice(held, job, begun, options).run());
}

class UndoSlice {
  readonly #held: HeldSession;
  readonly #job: BackfillJob;
  readonly #context: UndoContext;
  readonly #options: UndoOptions;
  readonly #pace: Pace;
  readonly #retries: Retries;
  readonly #secondTry: SecondTry;
  readonly #clock = new SliceClock();
  readonly #doneBefore: number;
  #checkpoint: Checkpoint;
  /** The way down the journal goes on below this key. */
  #below: Key | undefined;
  /** It has been gone down from its highest key without finding a row that was free. */
  #swept = false;

  constructor(held: HeldSession, job: BackfillJob, { checkpoint, context }: BegunUndo, options: UndoOptions) {
    this.#held = held;
    this.#job = job;
    this.#context = context;
    this.#options = options;
    this.#pace = options.pace ?? steadyPace(job.phase);
    this.#retries = new Retries(job.phase.name, options);
    this.#secondTry = new SecondTry(held, job, context, checkpoint);
    this.#checkpoint = checkpoint;
    this.#below = checkpoint.undoCursor ?? undefined;
    this.#doneBefore = checkpoint.restored + checkpoint.kept;
  }

  async run(): Promise<UndoResult> {
    while (!this.#checkpoint.undone) {
      const admission = await this.#pace.admit(this.#held);
      if (admission.kind === 'closed') return this.#result(admission);
      if (admission.kind === 'stand-by') await this.#standBy();
      else if (!(await this.#step(admission.rows))) continue;
      if (this.#clock.isOver(this.#options)) break;
    }
    return this.#result();
  }

  /** Returns whether that was more than finding out where to go on. */
  async #step(rows: number): Promise<boolean> {
    try {
      return this.#swept ? await this.#finish() : await this.#batch(rows);
    } catch (error) {
      const where = this.#below ? `before the key (${this.#below.join(', ')})` : 'with the highest key';
      await this.#retries.failed(error, { rows, where, pace: this.#pace });
      return true;
    }
  }

  async #batch(rows: number): Promise<boolean> {
    const started = this.#clock.elapsedMs();
    const { taken, last } = await this.#commit(rows);
    const ms = this.#clock.elapsedMs() - started;
    this.#retries.succeeded();
    if (taken > 0) this.#pace.took({ rows: taken, ms });
    this.#swept = taken < rows && this.#below === undefined;
    this.#below = taken < rows ? undefined : last;
    this.#tellInTime(ms);
    return taken > 0;
  }

  /** Rows at fault end the first attempt; the second looks for them, at the price of a savepoint for each step. */
  async #commit(rows: number): Promise<PutBack> {
    try {
      return await this.#attempt(rows, putBack);
    } catch (error) {
      if (!isRowError(error)) throw error;
      return this.#attempt(rows, putBackEach);
    }
  }

  #attempt(rows: number, work: typeof putBack): Promise<PutBack> {
    return this.#held.transaction(async (session) => {
      const result = await work(session, this.#context, { below: this.#below, limit: rows });
      await recordLeft(session, this.#job, this.#context, result);
      const { restored, kept, last } = result;
      const totals = await advanceUndo(session, this.#checkpoint, { restored, kept: kept.length, last });
      if (!totals) throw new Error(`the undo of phase "${this.#job.phase.name}" was removed meanwhile`);
      this.#checkpoint = { ...this.#checkpoint, ...totals };
      return result;
    });
  }

  /** What other lanes have taken may come back; then rows that could not be restored at first get another try. */
  async #finish(): Promise<boolean> {
    if (await hasUnseen(this.#held, this.#context.backfill)) {
      this.#swept = false;
      await this.#standBy();
      return true;
    }
    const outcome = await this.#secondTry.run();
    this.#retries.succeeded();
    if (outcome === 'busy') await this.#standBy();
    else await this.#look();
    return outcome !== 'none settled';
  }

  /** Watchers are told also while nothing is done, as that has a reason which they want to know. */
  async #standBy(): Promise<void> {
    const { waitMs = WAIT_MS, signal } = this.#options;
    await wait(waitMs, signal);
    await this.#look();
    this.#tellInTime(0);
  }

  async #look(): Promise<void> {
    const { runId, phase } = this.#job;
    const checkpoint = await selectCheckpoint(this.#held, runId, phase.name);
    if (!checkpoint) throw new Error(`the undo of phase "${phase.name}" was removed meanwhile`);
    this.#checkpoint = checkpoint;
  }

  #tellInTime(batchMs: number): void {
    if (this.#clock.isTimeToTell(this.#options)) this.#tell(batchMs);
  }

  #tell(batchMs: number): void {
    this.#clock.told();
    const { restored, kept } = this.#checkpoint;
    const processed = restored + kept;
    this.#options.onProgress?.({
      counts: { ...NO_ROWS, processed, migrated: restored, skipped: kept },
      estimatedRows: rowsOf(this.#checkpoint),
      rowsPerSecond: this.#clock.rate(processed - this.#doneBefore),
      batchMs,
    });
  }

  async #result(closed?: { until: Date; why: string }): Promise<UndoResult> {
    await makeDurable(this.#held, this.#checkpoint);
    await this.#look();
    const { undone, restored, kept } = this.#checkpoint;
    return {
      done: undone,
      restored,
      kept,
      rows: rowsOf(this.#checkpoint),
      ...(closed ? { closed: { until: closed.until, why: closed.why } } : {}),
    };
  }
}

/** Never less than what is already done. */
function rowsOf({ undone, undoRows, restored, kept }: Checkpoint): number {
  return undone ? restored + kept : Math.max(undoRows ?? 0, restored + kept);
}
