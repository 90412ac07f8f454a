import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Session } from '../../targets/target.ts';
import type { Query, QueryAnswer } from './thread-task.ts';

/** Runs the queries of a prefetch that computes in another thread. */
export class QueryServer {
  readonly #session: Session;
  readonly #own: MessagePort;
  readonly #running = new Set<Promise<void>>();
  /** For the thread to ask through. */
  readonly port: MessagePort;
  /** The last one that the database gave. */
  lastError: unknown;

  constructor(session: Session) {
    const { port1, port2 } = new MessageChannel();
    this.#session = session;
    this.#own = port1;
    this.port = port2;
    port1.on('message', (query: Query) => {
      const running = this.#answer(query).finally(() => this.#running.delete(running));
      this.#running.add(running);
    });
  }

  /** Resolves when no query is running any more. */
  async close(): Promise<void> {
    this.#own.close();
    await Promise.all(this.#running);
  }

  async #answer({ id, text, values }: Query): Promise<void> {
    let answer: QueryAnswer;
    try {
      answer = { id, rows: (await this.#session.query(text, values)).rows };
    } catch (error) {
      this.lastError = error;
      answer = { id, error: error instanceof Error ? error.message : String(error) };
    }
    this.#own.postMessage(answer);
  }
}
