import type { RowValue } from '../../targets/postgres/backfill/decode.ts';
import type { Row } from '../../targets/target.ts';

export type { RowValue };

/** What became of a row. Build it with {@link migrated}, {@link skipped}, {@link ambiguous} or {@link failed}. */
export type RowOutcome<Writes extends string = string> =
  | { outcome: 'migrated'; values: { [Column in Writes]?: unknown } }
  | { outcome: 'skipped'; reason?: string | undefined }
  | { outcome: 'ambiguous'; reason: string; suggestion?: unknown }
  | { outcome: 'failed'; reason: string };

/**
 * The row gets these values. A declared column that is left out (or undefined) keeps the value it has; null writes NULL.
 * Writing the values that a row already has still counts as migrated.
 */
export function migrated<V extends Record<string, unknown>>(values: V): { outcome: 'migrated'; values: V } {
  return { outcome: 'migrated', values };
}

/** The row needs nothing. */
export function skipped(reason?: string): { outcome: 'skipped'; reason?: string } {
  return reason === undefined ? { outcome: 'skipped' } : { outcome: 'skipped', reason };
}

/** A person has to decide; nothing is written. The suggestion, any JSON, is shown beside the reason. */
export function ambiguous(
  reason: string,
  suggestion?: unknown,
): { outcome: 'ambiguous'; reason: string; suggestion?: unknown } {
  return suggestion === undefined
    ? { outcome: 'ambiguous', reason }
    : { outcome: 'ambiguous', reason, suggestion };
}

/** The row cannot be migrated; nothing is written, and it counts against the error budget. */
export function failed(reason: string): { outcome: 'failed'; reason: string } {
  return { outcome: 'failed', reason };
}

/**
 * A row as a transform sees it: the columns it reads. `json` and `jsonb` come parsed (numbers beyond what a JavaScript number
 * holds lose digits; migrate such payloads by SQL), `smallint` and `integer` as number, `boolean` as boolean, `timestamptz`
 * as ISO-8601 in UTC with up to six digits of fraction where it is not zero (`2025-01-15T10:30:00Z`), `timestamp` the same
 * without the Z, NULL as null, and every other type as the text that PostgreSQL writes: `bigint` and `numeric` keep all digits.
 */
export type TransformRow<Reads extends string = string> = { [Column in Reads]: RowValue };

/**
 * Runs one statement that may only read, in the batch's own transaction; its rows come as the pg driver gives them
 * (`bigint` and `numeric` as text, `timestamptz` as Date).
 */
export type ReadQuery = <T = Row>(text: string, values?: readonly unknown[]) => Promise<T[]>;

export type Transform<Reads extends string = string, Writes extends string = string, Lookups = unknown> = {
  name: string;
  /** Raise it when the meaning changes: a run is pinned to the version that its plan names. */
  version: number;
  /** Columns that `transform` gets to see. */
  reads: readonly Reads[];
  /** Columns that it may write. */
  writes: readonly Writes[];
  /** Fetches once per batch what all its rows need, so that `transform` needs no queries. */
  prefetch?(rows: TransformRow<Reads>[], query: ReadQuery): Promise<Lookups>;
  /**
   * Decides what becomes of one row. Must depend on nothing but its arguments: a batch that was interrupted is derived
   * again. What it throws makes the row `failed`.
   */
  transform(row: TransformRow<Reads>, lookups: Lookups): RowOutcome<Writes>;
};

/** Checks and types a transform; register it with a {@link TransformRegistry}. */
export function defineTransform<const Reads extends string, const Writes extends string, Lookups = undefined>(
  transform: Transform<Reads, Writes, Lookups>,
): Transform<Reads, Writes, Lookups> {
  const { name, version, writes } = transform;
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new Error(`transform "${name}": the version must be a whole number from 1 on, not ${version}`);
  }
  if (writes.length === 0) throw new Error(`transform "${name}" writes no column; name those it writes`);
  return transform;
}

/** How messages name a transform. */
export function idOf({ name, version }: { name: string; version: number }): string {
  return `${name}@${version}`;
}
