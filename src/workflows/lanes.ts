import { CancellationScope, isCancellation } from '@temporalio/workflow';

/** Keeps so many lanes of work going at once, each of them slice after slice. */
export class Lanes {
  #wanted: number;
  readonly #running = new Map<number, { scope: CancellationScope; ended: Promise<void> }>();
  /** Being cancelled, because fewer are wanted. */
  readonly #leaving = new Set<number>();
  #slice: ((lane: number) => Promise<'again' | 'stop'>) | undefined;
  #stopping = false;
  #failure: { error: unknown } | undefined;

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  get wanted(): number {
    return this.#wanted;
  }

  /** More lanes start at once; those that are too many are cancelled, which costs each the batch it is in. */
  resize(wanted: number): void {
    this.#wanted = wanted;
    for (const [lane, { scope }] of this.#running) {
      if (lane < wanted) continue;
      this.#leaving.add(lane);
      scope.cancel();
    }
    this.#startMissing();
  }

  /** Cancels what is under way; {@link work} returns when it has ended. */
  interrupt(): void {
    this.#stopping = true;
    for (const { scope } of this.#running.values()) scope.cancel();
  }

  /**
   * Runs the lanes until each of them says `stop`, or they are interrupted.
   * @param slice one slice of one lane; the lane goes on when it returns `again`.
   * @throws what the first failing slice threw, when the other lanes have ended as well.
   */
  async work(slice: (lane: number) => Promise<'again' | 'stop'>): Promise<void> {
    this.#slice = slice;
    this.#stopping = false;
    this.#failure = undefined;
    this.#startMissing();
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ ended }) => ended));
    this.#slice = undefined;
    this.#throwFailure();
    // A cancellation of the whole phase ends every lane just as an interruption does; this throws it.
    const phase = CancellationScope.current();
    if (phase.consideredCancelled) await phase.cancelRequested;
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #startMissing(): void {
    if (!this.#slice || this.#stopping) return;
    for (let lane = 0; lane < this.#wanted; lane += 1)
      if (!this.#running.has(lane)) this.#start(lane, this.#slice);
  }

  #start(lane: number, slice: (lane: number) => Promise<'again' | 'stop'>): void {
    const scope = new CancellationScope();
    const ended = scope
      .run(async () => {
        while (!this.#stopping && lane < this.#wanted && (await slice(lane)) === 'again');
      })
      .catch((error: unknown) => {
        if (isCancellation(error) && scope.consideredCancelled) return;
        this.#failure ??= { error };
        this.interrupt();
      })
      .finally(() => {
        this.#running.delete(lane);
        // It may be wanted again by the time it has ended.
        if (this.#leaving.delete(lane)) this.#startMissing();
      });
    this.#running.set(lane, { scope, ended });
  }
}
