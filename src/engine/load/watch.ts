import { type Eta, forecast, NO_RATES, noteProgress, type Rates, type Speed } from '../../domain/eta.ts';
import {
  type Limiter,
  type LoadDecision,
  type LoadState,
  steer,
  UNLIMITED,
} from '../../domain/load-control.ts';
import type { BackfillPhase } from '../../domain/plan.ts';
import { selectCheckpoint } from '../../targets/postgres/backfill/checkpoint.ts';
import { COMMIT_SOON } from '../../targets/postgres/commit-soon.ts';
import { describeSqlError } from '../../targets/postgres/errors.ts';
import {
  claimMeasurement,
  type LoadClaim,
  type LoadKey,
  readLoad,
  shareLoad,
} from '../../targets/postgres/load/shared-load.ts';
import type { Session, Target } from '../../targets/target.ts';
import { readDemand } from './budget.ts';
import { type LoadMemory, measureLoad } from './measure.ts';

/** What the lanes of a backfill share: what was measured and decided last, and what the next round has to know. */
export type LoadRound = {
  decision: LoadDecision;
  limiter: Limiter | null;
  eta: Eta | null;
  /** Rises whenever another signal limits, or in another way, or none any more. */
  change: number;
  /** Size of a batch that the measuring lane had come to; others begin with it. */
  batchRows: number;
  control: LoadState;
  memory: LoadMemory;
  rates: Rates;
  speed: Speed;
  lanes: WantedLanes;
};

/** Connections that the backfill is to have when nothing limits it, as a lane was told when it began. */
type WantedLanes = { wanted: number; since: number };

/** Rows dealt with and rows in all, as far as they are known. */
export type RowsDone = { processed: number; rows: number };

export type WatchOptions = {
  /** Connections that the backfill is to have when nothing limits it. */
  lanes: number;
  /** How far the work is, undefined while nobody knows; by the backfill's checkpoint unless given. */
  rowsDone?: ((session: Session) => Promise<RowsDone | undefined>) | undefined;
  signal?: AbortSignal | undefined;
};

const EVERY_MS = 1_000;
/** Longer than everything that is measured may take, shorter than what counts as not measured. */
const ROUND_MS = 8_000;
const LEASE_MS = 10_000;
/** Spirit's limit for lag that nobody could measure. */
export const STALE_MS = 15_000;
const WRITE_MS = 5_000;

/** Keeps one lane informed of its backfill's load. Once a second one of the lanes measures, for all of them. */
export class LoadWatch {
  readonly #target: Target;
  readonly #key: LoadKey;
  readonly #phase: BackfillPhase;
  readonly #options: WatchOptions;
  readonly #lanes: WantedLanes;
  #measuring: Promise<void> | undefined;
  #failure: string | undefined;

  /** @param since when the lane began, in milliseconds since the epoch. */
  constructor(target: Target, key: LoadKey, phase: BackfillPhase, options: WatchOptions, since: number) {
    this.#target = target;
    this.#key = key;
    this.#phase = phase;
    this.#options = options;
    this.#lanes = { wanted: options.lanes, since };
  }

  /**
   * The last round, however old; undefined when there has been none. Begins a new one when it is time for it, and waits for
   * that only where the last one is too old to be used.
   * @param batchRows size that the lane's batches have come to.
   */
  async look(session: Session, batchRows: number): Promise<{ round: LoadRound; ageMs: number } | undefined> {
    const known = await this.#read(session);
    if (known && known.ageMs < EVERY_MS) return known;
    await this.#beginRound(session, batchRows);
    if (known && known.ageMs < STALE_MS) return known;
    await this.#measuring;
    return this.#read(session);
  }

  /** Why the last round that this lane began came to nothing. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Resolves when nothing of it is under way any more. */
  async close(): Promise<void> {
    await this.#measuring;
  }

  async #read(session: Session): Promise<{ round: LoadRound; ageMs: number } | undefined> {
    const shared = await readLoad<LoadRound>(session, this.#key);
    return shared && { round: shared.state, ageMs: shared.ageMs };
  }

  async #beginRound(session: Session, batchRows: number): Promise<void> {
    if (this.#measuring) return;
    const claim = await claimMeasurement<LoadRound>(session, this.#key, {
      everyMs: EVERY_MS,
      leaseMs: LEASE_MS,
    });
    if (!claim) return;
    this.#measuring = this.#measure(claim, batchRows)
      .then(
        () => {
          this.#failure = undefined;
        },
        (error: unknown) => {
          this.#failure = describeSqlError(error);
        },
      )
      .finally(() => {
        this.#measuring = undefined;
      });
  }

  async #measure({ token, state: before, now }: LoadClaim<LoadRound>, batchRows: number): Promise<void> {
    const timeout = AbortSignal.timeout(ROUND_MS);
    const signal = this.#options.signal ? AbortSignal.any([this.#options.signal, timeout]) : timeout;
    const { throttle, table } = this.#phase;
    const { readings, memory } = await measureLoad(this.#target, {
      signals: throttle,
      table,
      backfill: laneName(this.#key),
      memory: before?.memory ?? {},
      now,
      signal,
    });
    const lanes = newest(before?.lanes, this.#lanes);
    const { state: control, decision } = steer(before?.control ?? UNLIMITED, readings, {
      now,
      wanted: lanes.wanted,
      // A probe that is gone must not keep a rollback from ending.
      missing: this.#key.direction === 'undo' ? 'slows' : 'pauses',
    });
    const options = { signal, statementTimeoutMs: WRITE_MS, lockTimeoutMs: WRITE_MS, prelude: COMMIT_SOON };
    await this.#target.transaction(options, async (session) => {
      const demand = await readDemand(session, laneName(this.#key));
      const limiter = decision.limiter ?? this.#budgetLimiter(demand);
      const done = await (this.#options.rowsDone ?? this.#checkpointed)(session);
      const round: LoadRound = {
        decision,
        limiter,
        change: (before?.change ?? 0) + (isSame(before?.limiter ?? null, limiter) ? 0 : 1),
        batchRows,
        control,
        memory,
        lanes,
        ...this.#outlook(before, done, now, speedOf(limiter, demand)),
      };
      await shareLoad(session, this.#key, token, round);
    });
  }

  readonly #checkpointed = async (session: Session): Promise<RowsDone | undefined> => {
    const { runId, phase, direction } = this.#key;
    const checkpoint = await selectCheckpoint(session, runId, phase);
    if (!checkpoint) return undefined;
    const { counts, estimatedRows, restored, kept, undoRows } = checkpoint;
    return direction === 'undo'
      ? { processed: restored + kept, rows: undoRows ?? 0 }
      : { processed: counts.processed, rows: estimatedRows };
  };

  /** Nobody knows what is left once there turn out to be more rows than were estimated. */
  #outlook(
    before: LoadRound | null,
    done: RowsDone | undefined,
    now: number,
    speed: Speed,
  ): Pick<LoadRound, 'rates' | 'eta' | 'speed'> {
    const { processed, rows } = done ?? { processed: 0, rows: 0 };
    const past = before?.speed ?? 'stopped';
    const rates = noteProgress(before?.rates ?? NO_RATES, { now, processed, speed: past });
    const left = rows - processed;
    const eta = left > 0 ? forecast(rates, { now, left, speed, schedule: this.#phase }) : undefined;
    return { rates, eta: eta ?? null, speed };
  }

  #budgetLimiter({ working, waiting, others }: { working: number; waiting: number; others: number }) {
    if (waiting === 0) return null;
    const { name, budget } = this.#target;
    const shared =
      others > 0 ? `, shared with ${others} other ${others === 1 ? 'backfill' : 'backfills'}` : '';
    return {
      signal: 'budget',
      effect: working === 0 ? 'paused' : 'slowed',
      why: `${working} of ${working + waiting} connections: the budget of target "${name}" is ${budget} at once${shared}`,
    } satisfies Limiter;
  }
}

/** What a backfill's lanes are known by on its target. */
export function laneName({ runId, phase, direction }: LoadKey): string {
  return `${runId}/${phase}/${direction}`;
}

/** A person may have changed the number since a lane began; lanes that begin later know. */
function newest(known: WantedLanes | undefined, own: WantedLanes): WantedLanes {
  return known && known.since > own.since ? known : own;
}

function speedOf(limiter: Limiter | null, { working }: { working: number }): Speed {
  if (working === 0 || limiter?.effect === 'paused') return 'stopped';
  return limiter ? 'slowed' : 'free';
}

function isSame(a: Limiter | null, b: Limiter | null): boolean {
  return a?.signal === b?.signal && a?.effect === b?.effect;
}
