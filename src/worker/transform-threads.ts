import { Worker } from 'node:worker_threads';
import type { ThreadAnswer, ThreadTask } from '../engine/transform/thread-task.ts';
import { TransformThreads } from '../engine/transform/threads.ts';
import type { ThreadSource } from '../engine/transform/transform.ts';
import { ThreadPool } from './thread-pool.ts';

/** What a thread is started with. */
export type ThreadData = { modules: readonly string[] };

export type ThreadOptions = {
  /** How long a transform may compute for one row, in milliseconds; one that takes longer is taken never to end. */
  rowMs?: number | undefined;
};

/** Threads that run the transforms of some modules; backfills that ask for as many share them. */
export class ModuleThreads implements ThreadSource {
  readonly #modules: readonly string[];
  readonly #options: ThreadOptions;
  readonly #pools = new Map<number, ThreadPool<ThreadTask, ThreadAnswer>>();

  constructor(modules: readonly string[], options: ThreadOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  give(count: number): TransformThreads {
    const pool = this.#pools.get(count) ?? new ThreadPool(count, () => startThread(this.#modules));
    this.#pools.set(count, pool);
    return new TransformThreads(pool, this.#options);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()));
  }
}

function startThread(modules: readonly string[]): Worker {
  const code = import.meta.url.endsWith('.ts') ? './transform-thread-source.mjs' : './transform-thread.js';
  return new Worker(new URL(code, import.meta.url), {
    workerData: { modules } satisfies ThreadData,
  });
}
