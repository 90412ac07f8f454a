import type { RowCounts } from '../domain/counts.ts';
import type { BackfillPhase } from '../domain/plan.ts';
import type { TransformRegistry } from './transform/transform.ts';

/** One backfill phase of one run. */
export type BackfillJob = { runId: string; phase: BackfillPhase; transforms: TransformRegistry };

export type BatchProgress = {
  /** Totals of the phase, over all slices. */
  counts: RowCounts;
  estimatedRows: number;
  /** Of all lanes together, since this slice began. */
  rowsPerSecond: number;
  batchMs: number;
};

export type SliceOptions = {
  /** Aborting cancels the running statement on the server and rolls the batch back; the slice rejects with the reason. */
  signal?: AbortSignal | undefined;
  /** Time budget in milliseconds: no batch begins after it, but the slice does at least one. Without end by default. */
  untilMs?: number | undefined;
  /** Longest wait for a lock of the application, in milliseconds. */
  lockTimeoutMs?: number | undefined;
  statementTimeoutMs?: number | undefined;
};

const LOCK_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 120_000;
const PROGRESS_MS = 500;

/** The options of a batch's transaction. */
export function batchOptions(options: SliceOptions) {
  return {
    signal: options.signal,
    lockTimeoutMs: options.lockTimeoutMs ?? LOCK_TIMEOUT_MS,
    statementTimeoutMs: options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
  };
}

/** Tells when a slice has used up its time, when to tell of its progress, and how fast it went. */
export class SliceClock {
  readonly #started = performance.now();
  #toldAt = 0;

  isOver({ untilMs }: SliceOptions): boolean {
    return untilMs !== undefined && this.elapsedMs() >= untilMs;
  }

  elapsedMs(): number {
    return performance.now() - this.#started;
  }

  /** Has it been told of so long ago that it is time again? */
  isTimeToTell({ progressMs = PROGRESS_MS }: { progressMs?: number | undefined }): boolean {
    return this.elapsedMs() - this.#toldAt >= progressMs;
  }

  told(): void {
    this.#toldAt = this.elapsedMs();
  }

  rate(rows: number): number {
    return rows / (Math.max(this.elapsedMs(), 1) / 1000);
  }
}

/** SQL condition for the rows that the backfill has to touch; undefined for all. */
export function dueRows({ where, pending }: BackfillPhase): string | undefined {
  const conditions = [where, pending].filter((condition) => condition !== undefined);
  // The line break ends a comment that a condition may close with.
  return conditions.length < 2
    ? conditions[0]
    : conditions.map((condition) => `(${condition}\n)`).join(' AND ');
}

/** SQL types of columns that an earlier phase adds: to the phase's own table, and to the one that rows are copied into. */
export function addedColumns({ columns, transform }: BackfillPhase): {
  own: Record<string, string>;
  into: Record<string, string>;
} {
  if (transform.kind !== 'insert') return { own: columns, into: {} };
  const isWritten = ([name]: [string, string]) => transform.values[name] !== undefined;
  const all = Object.entries(columns);
  return {
    own: Object.fromEntries(all.filter((column) => !isWritten(column))),
    into: Object.fromEntries(all.filter(isWritten)),
  };
}

/** Columns that the phase writes, in an order that does not depend on how the plan was stored. */
export function writtenColumns({ phase, transforms }: Pick<BackfillJob, 'phase' | 'transforms'>): string[] {
  const { transform } = phase;
  switch (transform.kind) {
    case 'sql':
      return Object.keys(transform.set).sort();
    case 'insert':
      return Object.keys(transform.values).sort();
    case 'registered':
      return [...new Set(transforms.lookup(transform.name, transform.version).writes)].sort();
  }
}
