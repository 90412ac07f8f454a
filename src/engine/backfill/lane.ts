import type { RowCounts } from '../../domain/counts.ts';
import { findBatchEnd } from '../../targets/postgres/backfill/find-key.ts';
import { advanceRange, type Claimant, type Range } from '../../targets/postgres/backfill/ranges.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import type { HeldSession, Session, Target } from '../../targets/target.ts';
import { isRowError, LeaseLost } from '../errors.ts';
import { recordExceptions } from '../exceptions/record.ts';
import type { BackfillJob, SliceOptions } from '../job.ts';
import type { BatchContext, BatchResult } from './batch.ts';
import { HeldRanges, restOf } from './held-ranges.ts';
import { migrateRows } from './migrate.ts';
import type { Pace } from './pace.ts';
import { writePrepared } from './prepared-batch.ts';
import type { ReadAhead } from './read-ahead.ts';
import { Retries } from './retries.ts';

/** What a batch did. */
export type BatchDone = {
  counts: RowCounts;
  /** Rows of the table that it went through, whatever became of them. */
  rows: number;
};

/** The range as the batch has left it. */
type Committed = { counts: RowCounts; next: Range };

/** One connection's way through the ranges of a backfill. */
export class Lane {
  readonly #held: HeldSession;
  readonly #job: BackfillJob;
  readonly #context: BatchContext;
  readonly #backfill: string;
  readonly #options: SliceOptions;
  readonly #ranges: HeldRanges;
  readonly #retries: Retries;
  /** Rows that this lane has dealt with. */
  processed = 0;

  constructor(
    held: HeldSession,
    job: BackfillJob,
    context: BatchContext,
    backfill: string,
    options: SliceOptions & { claimant?: Claimant | undefined },
    ahead?: ReadAhead,
  ) {
    this.#held = held;
    this.#job = job;
    this.#context = context;
    this.#backfill = backfill;
    this.#options = options;
    this.#ranges = new HeldRanges(held, backfill, options, ahead);
    this.#retries = new Retries(job.phase.name, options);
  }

  /** Makes sure that the lane has a range to work on; false when there is none to be had at the moment. */
  claim(): Promise<boolean> {
    return this.#ranges.claim();
  }

  /**
   * Runs the range's next batch and commits it. Undefined when nothing was committed and it is worth trying again: the
   * range was lost to another lane, the batch was too large for its time, or a fault passed.
   */
  async batch(rows: number, pace: Pace): Promise<BatchDone | undefined> {
    const range = this.#ranges.present;
    try {
      const { counts, next, covered } = await this.#commit(range, rows);
      this.#ranges.present = next;
      this.#retries.succeeded();
      this.processed += counts.processed;
      // Of the rows that were to be covered the plan may leave any number alone; at the end of a range there were fewer.
      return { counts, rows: next.done ? counts.processed : covered };
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (error instanceof LeaseLost) {
        this.#ranges.present = undefined;
        return undefined;
      }
      await this.#retries.failed(error, { rows, where: this.#ranges.place, pace });
      return undefined;
    }
  }

  /** Lets go of what it holds, so that another lane can go on with it. */
  letGo(): Promise<void> {
    return this.#ranges.letGo();
  }

  /** The same when the lane's connection may be broken or cancelled, and was given back. */
  abandon(target: Target): Promise<void> {
    return this.#ranges.abandon(target);
  }

  /** Rows at fault end the first attempt; the second looks for them, at the price of a savepoint for each step. */
  async #commit(range: Range, rows: number): Promise<Committed & { covered: number }> {
    let covered = rows;
    try {
      const prepared = await this.#ranges.prepare(rows);
      // It may have fewer, where more could not be held at once; nor could they be now.
      if (prepared) covered = prepared.rows;
      const committed = await this.#attempt(range, this.#context, (session) =>
        prepared
          ? writePrepared(session, this.#context, prepared)
          : this.#migrate(session, this.#context, range, rows),
      );
      return { ...committed, covered };
    } catch (error) {
      if (!isRowError(error)) throw error;
      const context = { ...this.#context, isolateFailures: true };
      const migrate = (session: Session) => this.#migrate(session, context, range, covered);
      return { ...(await this.#attempt(range, context, migrate)), covered };
    }
  }

  /** The range's next batch, read under lock in the transaction that writes it. */
  async #migrate(
    session: Session,
    context: BatchContext,
    range: Range,
    rows: number,
  ): Promise<BatchResult & { end: Key | undefined }> {
    const rest = restOf(range);
    const end = await findBatchEnd(session, context.table, rest, rows);
    return { end, ...(await migrateRows(session, context, { ...rest, upTo: end ?? range.upTo })) };
  }

  /** One transaction: the batch, its exceptions, and how far the range is. */
  #attempt(
    range: Range,
    context: BatchContext,
    migrate: (session: Session) => Promise<BatchResult & { end: Key | undefined }>,
  ): Promise<Committed> {
    const { runId, phase } = this.#job;
    return this.#held.transaction(async (session: Session) => {
      const { end, counts, exceptions } = await migrate(session);
      await recordExceptions(session, context, { runId, phase: phase.name }, exceptions, { counted: true });
      const batch = {
        cursor: end ?? range.upTo,
        counts,
        done: end === undefined,
        leaseMs: this.#ranges.leaseMs,
      };
      const next = await advanceRange(session, this.#backfill, range, batch);
      if (!next) throw new LeaseLost(runId, phase.name);
      return { counts, next };
    });
  }
}
