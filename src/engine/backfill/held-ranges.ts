import type { KeyRange } from '../../targets/postgres/backfill/key-range.ts';
import {
  type Claimant,
  claimRange,
  type Range,
  releaseRange,
} from '../../targets/postgres/backfill/ranges.ts';
import type { Session, Target } from '../../targets/target.ts';
import { batchOptions, type SliceOptions } from '../job.ts';
import type { PreparedBatch } from './prepared-batch.ts';
import type { ReadAhead } from './read-ahead.ts';

/** On top of what a batch may take: until then a lane that is silent may still be at work. */
const LEASE_MARGIN_MS = 60_000;
const RELEASE_MS = 2_000;

/**
 * The ranges that a lane holds: one at a time; when it reads ahead, also the one that comes next, from when the last rows of
 * the present one are read.
 */
export class HeldRanges {
  readonly #session: Session;
  /** Of the backfill or verification, whose ranges these are. */
  readonly #owner: string;
  readonly #claimant: Claimant;
  readonly #ahead: ReadAhead | undefined;
  readonly leaseMs: number;
  #present: Range | undefined;
  #upcoming: Promise<Range | undefined> | undefined;

  constructor(
    session: Session,
    owner: string,
    options: SliceOptions & { claimant?: Claimant | undefined },
    ahead: ReadAhead | undefined,
  ) {
    this.#session = session;
    this.#owner = owner;
    this.#ahead = ahead;
    this.#claimant = options.claimant ?? { lane: 'lane', since: Date.now() };
    const { lockTimeoutMs, statementTimeoutMs } = batchOptions(options);
    this.leaseMs = lockTimeoutMs + statementTimeoutMs + LEASE_MARGIN_MS;
  }

  /** Makes sure that there is a range to work on; false when there is none to be had at the moment. */
  async claim(): Promise<boolean> {
    this.#present ??= (await this.#takeUpcoming()) ?? (await this.#claimOn(this.#session));
    return this.#present !== undefined;
  }

  /** The range that is worked on. @throws Error when none was claimed. */
  get present(): Range {
    if (!this.#present) throw new Error('a batch needs a range; claim one first');
    return this.#present;
  }

  /** The range as a batch has left it; undefined when another lane has it. */
  set present(range: Range | undefined) {
    this.#present = range?.done ? undefined : range;
  }

  /** Says of the next row where that is: `after the key (5)`. */
  get place(): string {
    const after = this.#present?.after;
    return after ? `after the key (${after.join(', ')})` : 'with the first row';
  }

  /** The range's next batch, when the lane reads ahead; what follows it is begun with at once. */
  async prepare(rows: number): Promise<PreparedBatch | undefined> {
    const ahead = this.#ahead;
    const range = this.present;
    if (!ahead) return undefined;
    const following = async () => {
      const next = await this.#claimUpcoming(ahead);
      return next && restOf(next);
    };
    const batch = await ahead.take(restOf(range), rows, following);
    if (batch.end) ahead.begin({ after: batch.end, upTo: range.upTo }, rows, following);
    else this.#beginUpcoming(ahead, rows);
    return batch;
  }

  /** Lets go of all, so that other lanes can go on with it. */
  async letGo(): Promise<void> {
    for (const range of await this.#takeAll()) await releaseRange(this.#session, this.#owner, range);
  }

  /**
   * The same when the lane's connection may be broken or cancelled, and was given back. A range that stays claimed all the
   * same comes free when its lease runs out.
   */
  async abandon(target: Target): Promise<void> {
    const options = { statementTimeoutMs: RELEASE_MS, lockTimeoutMs: RELEASE_MS };
    for (const range of await this.#takeAll()) {
      await target
        .transaction(options, (session) => releaseRange(session, this.#owner, range))
        .catch(() => undefined);
    }
  }

  async #takeAll(): Promise<Range[]> {
    const present = this.#present;
    this.#present = undefined;
    const upcoming = await this.#takeUpcoming().catch(() => undefined);
    // Not before: a claim that comes through has its range begun with.
    this.#ahead?.drop();
    return [present, upcoming].filter((range) => range !== undefined);
  }

  async #takeUpcoming(): Promise<Range | undefined> {
    const upcoming = this.#upcoming;
    this.#upcoming = undefined;
    return upcoming;
  }

  #claimOn(session: Session): Promise<Range | undefined> {
    return claimRange(session, this.#owner, this.#claimant, this.leaseMs);
  }

  #claimUpcoming(ahead: ReadAhead): Promise<Range | undefined> {
    this.#upcoming ??= ahead.run((reader) => this.#claimOn(reader));
    return this.#upcoming;
  }

  #beginUpcoming(ahead: ReadAhead, rows: number): void {
    this.#claimUpcoming(ahead).then(
      // Short ranges are read when they are come to: what follows the upcoming range would be a third one to hold.
      (next) => next && ahead.begin(restOf(next), rows, async () => undefined),
      () => undefined,
    );
  }
}

/** What is left to do of the range. */
export function restOf({ after, upTo }: Range): KeyRange {
  return { after: after ?? undefined, upTo };
}
