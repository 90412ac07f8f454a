import { once } from 'node:events';
import type { Transferable, Worker } from 'node:worker_threads';

/** Threads that have nothing to do end after a while: whoever wanted them may not come again. */
const IDLE_MS = 30_000;

/**
 * At most so many threads, each of which answers one task after the other; started when they are needed. Pools from the
 * registry hide a thread that cannot start, and load its code in a way that TypeScript does not survive.
 */
export class ThreadPool<Task, Answer> {
  readonly #most: number;
  readonly #start: () => Worker;
  readonly #threads = new Set<Worker>();
  readonly #idle = new Map<Worker, NodeJS.Timeout>();
  readonly #waiting = new Set<() => void>();
  #running = 0;

  /** @param start gives a thread that sends one message for each that it gets. */
  constructor(most: number, start: () => Worker) {
    this.#most = most;
    this.#start = start;
  }

  /**
   * Has a thread do the task. When the signal aborts, the thread that does it is ended.
   * @throws the signal's reason, or an Error when the thread dies.
   */
  async run(
    task: Task,
    { signal, transferList }: { signal: AbortSignal; transferList: readonly Transferable[] },
  ): Promise<Answer> {
    await this.#takePlace(signal);
    try {
      const thread = this.#takeThread();
      const answer = await this.#ask(thread, task, signal, transferList);
      this.#rest(thread);
      return answer;
    } finally {
      this.#leavePlace();
    }
  }

  /** Ends all threads, and what they are doing. */
  async close(): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => thread.terminate()));
  }

  async #takePlace(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running < this.#most) {
      this.#running += 1;
      return;
    }
    // Whoever leaves a place hands it over.
    await new Promise<void>((resolve, reject) => {
      const goOn = () => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = () => {
        this.#waiting.delete(goOn);
        reject(signal.reason);
      };
      this.#waiting.add(goOn);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  #leavePlace(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#running -= 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }

  #takeThread(): Worker {
    const [rested] = this.#idle;
    if (!rested) return this.#startThread();
    const [thread, timer] = rested;
    clearTimeout(timer);
    this.#idle.delete(thread);
    thread.ref();
    return thread;
  }

  #startThread(): Worker {
    const thread = this.#start();
    this.#threads.add(thread);
    // Also one that dies while it has nothing to do: unheard, that would end the process.
    thread.on('error', () => undefined);
    thread.on('exit', () => {
      clearTimeout(this.#idle.get(thread));
      this.#idle.delete(thread);
      this.#threads.delete(thread);
    });
    return thread;
  }

  #rest(thread: Worker): void {
    if (!this.#threads.has(thread)) return;
    thread.unref();
    this.#idle.set(thread, setTimeout(() => thread.terminate(), IDLE_MS).unref());
  }

  async #ask(
    thread: Worker,
    task: Task,
    signal: AbortSignal,
    transferList: readonly Transferable[],
  ): Promise<Answer> {
    const asked = new AbortController();
    const until = { signal: asked.signal };
    const answered = once(thread, 'message', until);
    const died = once(thread, 'exit', until).then(([code]) => {
      throw new Error(`exit code ${code}`);
    });
    const aborted = once(signal, 'abort', until).then(() => {
      throw signal.reason;
    });
    try {
      thread.postMessage(task, [...transferList]);
      const [answer] = await Promise.race([answered, died, aborted]);
      return answer;
    } catch (error) {
      await thread.terminate();
      throw error;
    } finally {
      for (const event of [answered, died, aborted]) event.catch(() => undefined);
      asked.abort();
    }
  }
}
