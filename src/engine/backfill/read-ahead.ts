import { hasRowVersions } from '../../targets/postgres/backfill/has-row-versions.ts';
import type { KeyRange } from '../../targets/postgres/backfill/key-range.ts';
import { PINNED_SESSION } from '../../targets/postgres/backfill/pin-session.ts';
import { isShort } from '../../targets/postgres/backfill/read-batch.ts';
import type { HeldSession, Target } from '../../targets/target.ts';
import { batchOptions, type SliceOptions } from '../job.ts';
import type { Transform } from '../transform/transform.ts';
import type { BatchContext } from './batch.ts';
import { deriveRead, type PreparedBatch, type ReadRows, readRows } from './prepared-batch.ts';

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

/** What a lane works on after its present range; undefined when there is nothing to be had. */
type Following = () => Promise<KeyRange | undefined>;

type Next<T> = { rest: KeyRange; rows: number; got: Promise<T> };

/**
 * Prepares the next batch of a lane while its present one is being written, and reads the one after that while this one is
 * being derived; there are never more ahead.
 */
export class ReadAhead {
  readonly #reader: HeldSession;
  readonly #context: BatchContext;
  readonly #transform: Transform;
  #next: Next<PreparedBatch> | undefined;
  #afterNext: Next<ReadRows> | undefined;
  #lastTurn: Promise<unknown> = Promise.resolve();
  /** Rows that can be held at once, when more could not. */
  #mostRows = Number.POSITIVE_INFINITY;

  constructor(reader: HeldSession, context: BatchContext, transform: Transform) {
    this.#reader = reader;
    this.#context = context;
    this.#transform = transform;
  }

  /**
   * Begins to prepare the first so many rows of the rest of a range.
   * @param following asked for what comes after the range once its last rows are read.
   */
  begin(rest: KeyRange, rows: number, following: Following): void {
    const read = taken(this.#afterNext, rest, rows) ?? this.#read(rest, rows);
    this.#afterNext = undefined;
    const next = { rest, rows, got: read.then((found) => this.#derive(found)) };
    next.got.catch(() => undefined);
    this.#next = next;
    read
      .then(async ({ end }) => {
        // Dropped meanwhile, it has nothing follow it.
        if (this.#next !== next) return;
        const on = end ? { after: end, upTo: rest.upTo } : await following();
        if (on && this.#next === next) this.#readOn(on, rows);
      })
      .catch(() => undefined);
  }

  /** The batch of the first so many rows, about; prepared now unless it is at hand. */
  async take(rest: KeyRange, rows: number, following: Following): Promise<PreparedBatch> {
    if (!taken(this.#next, rest, rows)) this.begin(rest, rows, following);
    const next = this.#next as Next<PreparedBatch>;
    try {
      return await next.got;
    } finally {
      if (this.#next === next) this.#next = undefined;
    }
  }

  /** Forgets what is at hand: nobody knows how old it will be when it is asked for. */
  drop(): void {
    this.#next = undefined;
    this.#afterNext = undefined;
  }

  /** Runs a statement when the connection is free. */
  run<T>(work: (session: HeldSession) => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(() => {
      // What is still being derived when all has ended may ask for a connection that is no longer this one's.
      this.#reader.signal?.throwIfAborted();
      return work(this.#reader);
    });
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when nobody uses the connection any more. */
  async settled(): Promise<void> {
    await this.#lastTurn;
  }

  #readOn(rest: KeyRange, rows: number): void {
    const got = this.#read(rest, rows);
    got.catch(() => undefined);
    this.#afterNext = { rest, rows, got };
  }

  #read(rest: KeyRange, asked: number): Promise<ReadRows> {
    return this.run(async () => {
      for (;;) {
        const rows = Math.min(asked, this.#mostRows);
        const read = await readRows(this.#reader, this.#context, this.#transform, rest, rows);
        if (read) {
          // Such rows may lie together in one place of the table.
          if (rows === this.#mostRows && isShort(read.text)) this.#mostRows *= 2;
          return read;
        }
        this.#mostRows = Math.ceil(rows / 2);
      }
    });
  }

  #derive(read: ReadRows): Promise<PreparedBatch> {
    return deriveRead(this.#context, this.#transform, read, {
      signal: this.#reader.signal,
      transaction: (work) => this.run((reader) => reader.transaction(work)),
    });
  }
}

/** What was begun, when it is the first so many rows of the rest of a range, or not many more. */
function taken<T>(next: Next<T> | undefined, rest: KeyRange, rows: number): Promise<T> | undefined {
  return next && next.rows <= rows * SLACK && isSame(next.rest, rest) ? next.got : undefined;
}

function isSame(a: KeyRange, b: KeyRange): boolean {
  return JSON.stringify([a.after, a.upTo]) === JSON.stringify([b.after, b.upTo]);
}
