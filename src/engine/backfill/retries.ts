import { BatchNeverEnds, isTooLong, isTransient } from '../errors.ts';
import { batchOptions, type SliceOptions } from '../job.ts';
import type { Pace } from './pace.ts';
import { wait } from './wait.ts';

/** Deadlocks and the like in a row, before the slice ends and leaves the next try to whoever called it. */
const TRANSIENT_TRIES = 5;
const TRANSIENT_WAIT_MS = 50;
const SINGLE_ROW_TRIES = 3;

export type FailedBatch = {
  rows: number;
  /** Says of its first row where that is: `after the key (5)`. */
  where: string;
  pace: Pace;
};

/** Judges for one lane whether a batch that failed is worth another try. */
export class Retries {
  readonly #phase: string;
  readonly #options: SliceOptions;
  #faults = 0;
  #timeouts = 0;

  constructor(phase: string, options: SliceOptions) {
    this.#phase = phase;
    this.#options = options;
  }

  /** Hears that a batch was committed. */
  succeeded(): void {
    this.#faults = 0;
    this.#timeouts = 0;
  }

  /**
   * Resolves when the batch may be tried again, with as many rows as the pace admits then.
   * @throws the signal's reason; BatchNeverEnds when a single row takes too long, again and again, which no waiting helps
   * with; the error itself when it does not pass, or has come too often in a row.
   */
  async failed(error: unknown, batch: FailedBatch): Promise<void> {
    this.#options.signal?.throwIfAborted();
    if (isTooLong(error)) this.#shrink(error, batch);
    else if (isTransient(error)) await this.#wait(error);
    else throw error;
  }

  #shrink(error: unknown, { rows, where, pace }: FailedBatch): void {
    pace.timedOut();
    this.#timeouts = rows === 1 ? this.#timeouts + 1 : 0;
    if (this.#timeouts < SINGLE_ROW_TRIES) return;
    const { statementTimeoutMs } = batchOptions(this.#options);
    throw new BatchNeverEnds(this.#phase, where, statementTimeoutMs, error);
  }

  async #wait(error: unknown): Promise<void> {
    this.#faults += 1;
    if (this.#faults >= TRANSIENT_TRIES) throw error;
    await wait(TRANSIENT_WAIT_MS * 2 ** this.#faults * (0.5 + Math.random()), this.#options.signal);
  }
}
