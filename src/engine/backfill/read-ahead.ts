import { hasRowVersions } from '../../targets/postgres/backfill/has-row-versions.ts';
import type { KeyRange } from '../../targets/postgres/backfill/key-range.ts';
import { PINNED_SESSION } from '../../targets/postgres/backfill/pin-session.ts';
import type { HeldSession, Session, Target } from '../../targets/target.ts';
import { batchOptions, type SliceOptions } from '../job.ts';
import type { Transform } from '../transform/transform.ts';
import type { BatchContext } from './batch.ts';
import { type PreparedBatch, prepareBatch } from './prepared-batch.ts';

/** A prepared batch may have so many times the rows that are allowed by now; the next one will have fewer. */
const SLACK = 1.25;

/**
 * Does the work with a connection on which a lane reads ahead, when it has a TypeScript transform: the database is then not
 * kept waiting for JavaScript. Without when the table can't tell the versions of its rows.
 */
export async function withReadAhead<T>(
  target: Target,
  context: BatchContext,
  options: SliceOptions,
  work: (ahead: ReadAhead | undefined) => Promise<T>,
): Promise<T> {
  const { transform } = context;
  if (!transform) return work(undefined);
  const end = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, end.signal]) : end.signal;
  const connection = { ...batchOptions(options), signal, readOnly: true, prelude: PINNED_SESSION };
  return target.hold(connection, async (reader) => {
    if (!(await hasRowVersions(reader, context.table))) return work(undefined);
    const ahead = new ReadAhead(reader, context, transform);
    try {
      return await work(ahead);
    } finally {
      // What is being read nobody will ask for any more.
      end.abort();
      await ahead.settled();
    }
  });
}

/** Prepares the next batch of a lane while its present one is being written; there is never more than one ahead. */
export class ReadAhead {
  readonly #reader: HeldSession;
  readonly #context: BatchContext;
  readonly #transform: Transform;
  #next: { rest: KeyRange; rows: number; batch: Promise<PreparedBatch> } | undefined;
  #lastTurn: Promise<unknown> = Promise.resolve();
  /** Rows that could be held at once, when more could not. */
  #mostRows = Number.POSITIVE_INFINITY;

  constructor(reader: HeldSession, context: BatchContext, transform: Transform) {
    this.#reader = reader;
    this.#context = context;
    this.#transform = transform;
  }

  /** Begins to prepare the first so many rows of the rest of a range. */
  begin(rest: KeyRange, rows: number): void {
    const batch = this.#prepare(rest, rows);
    batch.catch(() => undefined);
    this.#next = { rest, rows, batch };
  }

  /** The batch of the first so many rows, about; prepared now unless it is at hand. */
  take(rest: KeyRange, rows: number): Promise<PreparedBatch> {
    const next = this.#next;
    this.#next = undefined;
    const fits = next && next.rows <= rows * SLACK && isSame(next.rest, rest);
    return fits ? next.batch : this.#prepare(rest, rows);
  }

  /** Forgets what is at hand: nobody knows how old it will be when it is asked for. */
  drop(): void {
    this.#next = undefined;
  }

  /** Runs a statement when the connection is free. */
  run<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(() => work(this.#reader));
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when nobody uses the connection any more. */
  async settled(): Promise<void> {
    await this.#lastTurn;
  }

  #prepare(rest: KeyRange, asked: number): Promise<PreparedBatch> {
    return this.run(async () => {
      for (;;) {
        const rows = Math.min(asked, this.#mostRows);
        const batch = await prepareBatch(this.#reader, this.#context, this.#transform, rest, rows);
        if (batch) return batch;
        this.#mostRows = Math.ceil(rows / 2);
      }
    });
  }
}

function isSame(a: KeyRange, b: KeyRange): boolean {
  return JSON.stringify([a.after, a.upTo]) === JSON.stringify([b.after, b.upTo]);
}
