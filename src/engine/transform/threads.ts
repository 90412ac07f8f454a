import type { BatchText } from '../../targets/postgres/backfill/read-batch.ts';
import type { TextRow } from '../../targets/postgres/backfill/read-range.ts';
import { readOnly } from '../../targets/postgres/backfill/savepoint.ts';
import type { BackfillColumn } from '../../targets/postgres/backfill/table.ts';
import type { Session } from '../../targets/target.ts';
import { TransformTooSlow } from '../errors.ts';
import { MOST_MS } from './breather.ts';
import { idOf, type Transform } from './definition.ts';
import type { BatchShape, DerivedBatch } from './derive-batch.ts';
import type { Derived } from './derive-rows.ts';
import { prefetchFailure } from './prefetch.ts';
import { QueryServer } from './query-server.ts';
import { LIFE, type ThreadAnswer, type ThreadTask, type Work } from './thread-task.ts';

/** Threads that do tasks, one after the other each; one that is aborted while it runs ends with its thread. */
export interface ThreadPool {
  run(
    task: ThreadTask,
    options: { signal: AbortSignal; transferList: readonly MessagePort[] },
  ): Promise<ThreadAnswer>;
}

type MessagePort = NonNullable<ThreadTask['queries']>;

/** On what a prefetch asks the database. */
export type Lookups = {
  signal?: AbortSignal | undefined;
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T>;
};

/** A row that computes for longer is taken never to end. */
const ROW_MS = 10_000;
const LOOKS_PER_LIMIT = 5;
/** Deaths of a thread that no row can be blamed for, before the batch fails. */
const MOST_DEATHS = 3;

/**
 * Runs transforms in threads, where one that never ends or tears everything down does no more harm than to fail its row: the
 * thread is ended and another one goes on with the other rows.
 */
export class TransformThreads {
  readonly #pool: ThreadPool;
  readonly #rowMs: number;

  constructor(pool: ThreadPool, { rowMs = ROW_MS }: { rowMs?: number | undefined } = {}) {
    this.#pool = pool;
    this.#rowMs = rowMs;
  }

  /** As `deriveBatch` on this thread. */
  async deriveBatch(
    transform: Transform,
    shape: BatchShape,
    text: BatchText,
    lookups: Lookups,
  ): Promise<DerivedBatch> {
    const batch = await this.#run<DerivedBatch>(transform, { kind: 'batch', shape, text }, lookups);
    for (const group of batch.groups) group.columns = sameColumns(group.columns, shape.written);
    return batch;
  }

  /** As `deriveRows` on this thread. */
  async deriveRows(
    transform: Transform,
    reads: readonly BackfillColumn[],
    written: readonly BackfillColumn[],
    rows: readonly TextRow[],
    lookups: Lookups,
  ): Promise<Derived[]> {
    const derived = await this.#run<Derived[]>(transform, { kind: 'rows', reads, written, rows }, lookups);
    for (const { outcome } of derived) {
      if (outcome.outcome === 'migrated') outcome.columns = sameColumns(outcome.columns, written);
    }
    return derived;
  }

  async #run<T>(transform: Transform, work: Work, lookups: Lookups): Promise<T> {
    const { signal } = lookups;
    const result = transform.prefetch
      ? await lookups.transaction((session) =>
          readOnly(session, () => this.#untilDone(transform, work, signal, session)),
        )
      : await this.#untilDone(transform, work, signal, undefined);
    return result as T;
  }

  /** Again without the row at which the thread ended, until all others are done. */
  async #untilDone(
    transform: Transform,
    work: Work,
    signal: AbortSignal | undefined,
    session: Session | undefined,
  ): Promise<DerivedBatch | Derived[]> {
    const began = performance.now();
    const blame = new Blame(idOf(transform));
    for (;;) {
      const end = await this.#attempt(transform, work, blame.doomed, signal, session);
      switch (end.kind) {
        case 'done':
          return end.result;
        case 'too-slow':
          throw new TransformTooSlow(MOST_MS);
        case 'prefetch-failed':
          throw prefetchFailure(transform, end.message, end.cause);
        case 'failed':
          throw new Error(`the transform ${idOf(transform)} cannot be run in a thread: ${end.message}`);
        case 'stuck':
          blame.stuck(end.place, this.#rowMs);
          break;
        case 'died':
          blame.died(end.place, end.message);
      }
      if (performance.now() - began > MOST_MS) throw new TransformTooSlow(MOST_MS);
    }
  }

  async #attempt(
    transform: Transform,
    work: Work,
    doomed: ReadonlyMap<number, string>,
    signal: AbortSignal | undefined,
    session: Session | undefined,
  ): Promise<(ThreadAnswer & { cause?: unknown }) | ThreadEnd> {
    signal?.throwIfAborted();
    const life = new Int32Array(
      new SharedArrayBuffer(Object.keys(LIFE).length * Int32Array.BYTES_PER_ELEMENT),
    );
    const queries = session && new QueryServer(session);
    const stuck = new AbortController();
    const stop = watch(life, this.#rowMs, () => stuck.abort());
    const { name, version } = transform;
    try {
      const answer = await this.#pool.run(
        { transform: { name, version }, work, life, doomed, queries: queries?.port },
        {
          signal: signal ? AbortSignal.any([signal, stuck.signal]) : stuck.signal,
          transferList: queries ? [queries.port] : [],
        },
      );
      return { ...answer, cause: queries?.lastError };
    } catch (error) {
      signal?.throwIfAborted();
      const place = Atomics.load(life, LIFE.row) - 1;
      if (stuck.signal.aborted) return { kind: 'stuck', place };
      return { kind: 'died', place, message: error instanceof Error ? error.message : String(error) };
    } finally {
      stop();
      await queries?.close();
    }
  }
}

/** A thread ended before its task did, when it was at the row of this place, or at none: -1. */
type ThreadEnd = { kind: 'stuck'; place: number } | { kind: 'died'; place: number; message: string };

/** Finds out which rows are to blame for the ends of threads. */
class Blame {
  readonly doomed = new Map<number, string>();
  readonly #transform: string;
  #deaths = 0;
  #lastPlace: number | undefined;

  constructor(transform: string) {
    this.#transform = transform;
  }

  /** @throws Error when it was not at a row. */
  stuck(place: number, rowMs: number): void {
    const limit = `${rowMs / 1_000} s`;
    if (place < 0) {
      throw new Error(
        `the prefetch of transform ${this.#transform} blocked its thread for longer than ${limit}`,
      );
    }
    this.doomed.set(place, `the transform ran longer than ${limit}`);
  }

  /**
   * A thread can die of what an earlier row has left behind; only of one that dies at the same row again that row is the cause.
   * @throws Error when threads die here and there.
   */
  died(place: number, message: string): void {
    if (place >= 0 && place === this.#lastPlace) {
      this.doomed.set(place, `the transform ended the thread that it ran in: ${message}`);
      this.#deaths = 0;
      return;
    }
    this.#lastPlace = place;
    this.#deaths += 1;
    if (this.#deaths < MOST_DEATHS) return;
    throw new Error(
      `the transform ${this.#transform} ends the threads that it runs in, each time at another row: ${message}`,
    );
  }
}

/** Calls back when a task that has begun shows no sign of life for so long. Returns a function that ends the watch. */
function watch(life: Int32Array<SharedArrayBuffer>, limitMs: number, onStuck: () => void): () => void {
  let seen = '';
  let since = performance.now();
  const timer = setInterval(() => {
    const pulse = Atomics.load(life, LIFE.pulse);
    const sign = `${pulse} ${Atomics.load(life, LIFE.row)}`;
    if (pulse === 0 || sign !== seen) {
      seen = sign;
      since = performance.now();
    } else if (performance.now() - since > limitMs) {
      onStuck();
    }
  }, limitMs / LOOKS_PER_LIMIT);
  return () => clearInterval(timer);
}

/** What came from another thread is equal to the columns that were sent there, but others tell them apart by identity. */
function sameColumns(
  columns: readonly BackfillColumn[],
  written: readonly BackfillColumn[],
): readonly BackfillColumn[] {
  return written.filter(({ name }) => columns.some((column) => column.name === name));
}
