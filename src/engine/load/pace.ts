import {
  afterBatch,
  afterTimeout,
  type BatchSize,
  type BatchSizeGoal,
  firstBatch,
} from '../../domain/batch-size.ts';
import { durationMs } from '../../domain/duration.ts';
import type { Eta } from '../../domain/eta.ts';
import type { Limiter, SignalReport } from '../../domain/load-control.ts';
import { type OpenHours, openHours } from '../../domain/open-hours.ts';
import type { LoadKey } from '../../targets/postgres/load/shared-load.ts';
import type { HeldSession, Target } from '../../targets/target.ts';
import type { Admission, Pace } from '../backfill/pace.ts';
import type { BackfillJob } from '../job.ts';
import { LaneSeat } from './budget.ts';
import { type LoadRound, LoadWatch, laneName, STALE_MS, type WatchOptions } from './watch.ts';

export type PaceOptions = WatchOptions & {
  direction: LoadKey['direction'];
  /** Milliseconds since the epoch, for the open hours; the clock of the machine unless given. */
  clock?: (() => number) | undefined;
};

/** What there is to tell of a backfill's load. */
export type LoadReport = {
  limiter: Limiter | null;
  eta: Eta | null;
  signals: SignalReport[];
  /** Rises with each change of what limits it, so that it can be told once. */
  change: number;
};

/** A lane that works asks so often whether it still may; one that does not, whenever it is asked. */
const LOOK_MS = 1_000;
/** Where nothing says when it opens, it is looked at again after so long. */
const NOWHERE_IN_SIGHT_MS = 86_400_000;

/**
 * The pace of one lane: batches by the time they take, as many lanes and as large as the load allows, within the target's
 * budget and the plan's hours. Close it when the lane has ended.
 */
export function openPace(
  target: Target,
  { runId, phase }: Pick<BackfillJob, 'runId' | 'phase'>,
  options: PaceOptions,
): LoadPace {
  return new LoadPace(target, { runId, phase: phase.name, direction: options.direction }, phase, options);
}

type Verdict =
  | { kind: 'go'; scale: number; limiter: string | undefined }
  | Extract<Admission, { kind: 'stand-by' }>;

export class LoadPace implements Pace {
  readonly #target: Target;
  readonly #phase: BackfillJob['phase'];
  readonly #clock: () => number;
  readonly #goal: BatchSizeGoal;
  readonly #watch: LoadWatch;
  readonly #seat: LaneSeat;
  #size: BatchSize;
  #hours: OpenHours | undefined;
  #verdict: Verdict = { kind: 'stand-by', why: 'the load has not been looked at yet' };
  #lookedAt: number | undefined;
  #round: LoadRound | undefined;
  /** Rows of the batch that was admitted last. */
  #admitted = 1;

  constructor(target: Target, key: LoadKey, phase: BackfillJob['phase'], options: PaceOptions) {
    this.#target = target;
    this.#phase = phase;
    this.#clock = options.clock ?? Date.now;
    this.#goal = { targetMs: durationMs(phase.batchDuration), maxRows: phase.maxBatchSize };
    this.#size = firstBatch(phase.batchSize, this.#goal);
    this.#watch = new LoadWatch(target, key, phase, options, this.#clock());
    this.#seat = new LaneSeat(laneName(key));
  }

  async admit(session: HeldSession): Promise<Admission> {
    const hours = this.#hoursNow();
    if (!hours.open) {
      await this.#seat.leave(session);
      const until = new Date(hours.until ?? this.#clock() + NOWHERE_IN_SIGHT_MS);
      return { kind: 'closed', until, why: hours.why };
    }
    const now = performance.now();
    if (this.#lookedAt === undefined || this.#verdict.kind !== 'go' || now - this.#lookedAt >= LOOK_MS) {
      this.#verdict = await this.#look(session);
      this.#lookedAt = now;
    }
    if (this.#verdict.kind !== 'go') return this.#verdict;
    const { scale, limiter } = this.#verdict;
    this.#admitted = Math.max(1, Math.round(this.#size.rows * scale));
    return { kind: 'go', rows: this.#admitted, limiter };
  }

  took({ rows, ms }: { rows: number; ms: number }): void {
    const batch = { rows: Math.max(1, rows), full: rows >= this.#admitted, ms };
    this.#size = afterBatch(this.#size, batch, this.#goal);
  }

  timedOut(): void {
    this.#size = afterTimeout(this.#size, this.#admitted, this.#goal);
  }

  /** As it was when this lane looked last; undefined before. */
  report(): LoadReport | undefined {
    if (!this.#round) return undefined;
    const { limiter, eta, decision, change } = this.#round;
    return { limiter, eta, signals: decision.signals, change };
  }

  /** Resolves when nothing of it is under way any more. */
  async close(): Promise<void> {
    await this.#watch.close();
  }

  #hoursNow(): OpenHours {
    const now = this.#clock();
    if (!this.#hours || (this.#hours.until !== undefined && now >= this.#hours.until))
      this.#hours = openHours(this.#phase, now);
    return this.#hours;
  }

  async #look(session: HeldSession): Promise<Verdict> {
    const latest = await this.#watch.look(session, this.#size.rows);
    const blocked = this.#whyBlocked(latest);
    if (latest) this.#adopt(latest.round);
    if (blocked !== undefined || !latest) {
      await this.#seat.leave(session);
      return { kind: 'stand-by', why: blocked ?? 'another lane is measuring the load for the first time' };
    }
    const { decision, limiter } = latest.round;
    const request = { budget: this.#target.budget, allowed: decision.connections };
    const seat = await this.#seat.ask(session, request);
    if (seat === 'work') return { kind: 'go', scale: decision.scale, limiter: limiter?.why };
    const why =
      seat === 'wait' ? this.#budgetInUse() : (limiter?.why ?? 'the load allows no more connections');
    return { kind: 'stand-by', why };
  }

  #whyBlocked(latest: { round: LoadRound; ageMs: number } | undefined): string | undefined {
    if (latest && latest.ageMs >= STALE_MS) {
      const because = this.#watch.failure ? `: ${this.#watch.failure}` : '';
      return `paused: the load was measured ${Math.round(latest.ageMs / 1_000)} s ago for the last time${because}`;
    }
    if (latest?.round.decision.paused) return latest.round.limiter?.why ?? 'paused';
    if (!latest && this.#watch.failure) return `paused: the load cannot be measured: ${this.#watch.failure}`;
    return undefined;
  }

  /** A lane that has no batch to go by yet begins with what others have come to. */
  #adopt(round: LoadRound): void {
    if (!this.#round && this.#size.msPerRow === null) this.#size = firstBatch(round.batchRows, this.#goal);
    this.#round = round;
  }

  #budgetInUse(): string {
    const { name, budget } = this.#target;
    return `the budget of target "${name}", ${budget} connections at once, is in use`;
  }
}
