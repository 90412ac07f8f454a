import type { RowCounts } from '../domain/counts.ts';
import type { BackfillPhase } from '../domain/plan.ts';
import type { TransformRegistry } from './transform.ts';

/** One backfill phase of one run. */
export type BackfillJob = { runId: string; phase: BackfillPhase; transforms: TransformRegistry };

export type BatchProgress = {
  /** Totals of the phase, over all slices. */
  counts: RowCounts;
  /** Key of the last row that is dealt with, as text. */
  cursor: readonly string[];
  estimatedRows: number;
  /** Over this slice so far. */
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

/** The options of a batch's transaction. */
export function batchOptions(options: SliceOptions) {
  return {
    signal: options.signal,
    lockTimeoutMs: options.lockTimeoutMs ?? LOCK_TIMEOUT_MS,
    statementTimeoutMs: options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
  };
}

/** Tells when a slice has used up its time, and how fast it went. */
export class SliceClock {
  readonly #started = performance.now();

  isOver({ untilMs }: SliceOptions): boolean {
    return untilMs !== undefined && this.elapsedMs() >= untilMs;
  }

  elapsedMs(): number {
    return performance.now() - this.#started;
  }

  rate(rows: number): number {
    return rows / (Math.max(this.elapsedMs(), 1) / 1000);
  }
}

/** Columns that the phase writes, in an order that does not depend on how the plan was stored. */
export function writtenColumns({ phase, transforms }: Pick<BackfillJob, 'phase' | 'transforms'>): string[] {
  const { transform } = phase;
  const names =
    transform.kind === 'sql'
      ? Object.keys(transform.set)
      : transforms.lookup(transform.name, transform.version).writes;
  return [...new Set(names)].sort();
}
