import { addCounts, NO_ROWS, type RowCounts } from '../../domain/counts.ts';
import { findBatchEnd } from '../../targets/postgres/backfill/find-key.ts';
import type { KeyRange } from '../../targets/postgres/backfill/key-range.ts';
import { type BatchText, lastKeyIn, readBatch } from '../../targets/postgres/backfill/read-batch.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import { textsOf } from '../../targets/postgres/backfill/text-array.ts';
import {
  lockUnchanged,
  type RowVersions,
  writeUnchanged,
} from '../../targets/postgres/backfill/write-batch.ts';
import { sqlState } from '../../targets/postgres/errors.ts';
import type { HeldSession, Session } from '../../targets/target.ts';
import { breather } from '../transform/breather.ts';
import { type DerivedBatch, deriveBatch, type WriteGroup } from '../transform/derive-batch.ts';
import { prefetch } from '../transform/prefetch.ts';
import type { Lookups } from '../transform/threads.ts';
import type { Transform } from '../transform/transform.ts';
import type { BatchContext, BatchResult } from './batch.ts';
import { expectingFewConflicts, migrateRows } from './migrate.ts';
import { exceptionOf, readColumns } from './registered-batch.ts';

/** A batch that was read and derived before its transaction, without locking a row. */
export type PreparedBatch = {
  /** Rows of the table that it was to cover; at the end of a range there may be fewer. */
  rows: number;
  span: KeyRange;
  /** Its last key; undefined when it reaches to the end of its range. */
  end: Key | undefined;
  derived: DerivedBatch;
};

/** The next rows of a range as they were read, without locking one. */
export type ReadRows = Omit<PreparedBatch, 'derived'> & { text: BatchText };

/** What the server says where it cannot put so much text together: program_limit_exceeded, out_of_memory. */
const TOO_LONG = new Set(['54000', '53200']);

/**
 * Reads the next rows of a range in a transaction of its own.
 * @returns undefined when the rows are too long to hold so many of them at once.
 */
export async function readRows(
  reader: HeldSession,
  { table, where }: BatchContext,
  transform: Transform,
  rest: KeyRange,
  rows: number,
): Promise<ReadRows | undefined> {
  const reading = reader.transaction(async (session) => {
    // Where every row is to be read, the last one that is says where the batch ends.
    const found = where === undefined ? undefined : await findBatchEnd(session, table, rest, rows);
    const read = await readBatch(session, table, {
      columns: readColumns(table, transform),
      where,
      range: { ...rest, upTo: found ?? rest.upTo },
      limit: where === undefined ? rows : undefined,
      unbounded: rows === 1,
    });
    const isFull = where === undefined && read?.count === rows;
    return { end: isFull ? lastKeyIn(table, read) : found, read };
  });
  const { end, read } = await reading.catch((error: unknown) => {
    if (rows > 1 && TOO_LONG.has(sqlState(error) ?? '')) return { end: undefined, read: undefined };
    throw error;
  });
  if (!read) return undefined;
  return { rows, span: { ...rest, upTo: end ?? rest.upTo }, end, text: read };
}

/** Derives rows that were read; no transaction is open meanwhile, but for what the transform looks up. */
export async function deriveRead(
  { table, written, threads }: BatchContext,
  transform: Transform,
  { text, ...read }: ReadRows,
  lookups: Lookups,
): Promise<PreparedBatch> {
  const shape = { key: table.key, reads: readColumns(table, transform), written };
  const derived = threads
    ? await threads.deriveBatch(transform, shape, text, lookups)
    : await deriveBatch(transform, shape, text, {
        prefetch: (found) => lookups.transaction((session) => prefetch(session, transform, found)),
        between: breather(lookups.signal),
      });
  return { ...read, derived };
}

/**
 * Writes a prepared batch in the session's transaction. Rows that somebody has changed since they were read are derived
 * again from what they are now, under lock: when the transaction commits, each row that was read is as it was read, or done
 * anew.
 */
export async function writePrepared(
  session: Session,
  context: BatchContext,
  { span, end, derived }: PreparedBatch,
): Promise<BatchResult & { end: Key | undefined }> {
  const { groups, unwritten, setAside } = derived;
  const changed: Key[] = [];
  let migrated = 0;
  for (const group of groups) {
    const missed = await expectingFewConflicts(context, (expecting) =>
      writeGroup(session, expecting, group, span),
    );
    migrated += group.rows.count - missed.length;
    for (const key of missed) changed.push(key);
  }
  const others = unwritten.count === 0 ? [] : await lockUnchanged(session, context.table, unwritten, span);
  for (const key of keysAt(unwritten, others)) changed.push(key);
  const stale = new Set(others);
  const valid = setAside.filter(({ place }) => !stale.has(place));
  const result = {
    end,
    counts: tally(migrated, unwritten.count - others.length, valid),
    exceptions: valid.flatMap((row) => exceptionOf(row, context)),
  };
  if (changed.length === 0) return result;
  const redone = await migrateRows(session, context, { keys: changed });
  return {
    end,
    counts: addCounts(result.counts, redone.counts),
    exceptions: [...result.exceptions, ...redone.exceptions],
  };
}

/** Returns the keys of the rows that are no longer as they were read. */
async function writeGroup(
  session: Session,
  { table, written, journal }: BatchContext,
  { columns, rows }: WriteGroup,
  span: KeyRange,
): Promise<Key[]> {
  return keysAt(rows, await writeUnchanged(session, table, { rows, columns, span, written, journal }));
}

/** Keys of the rows at these places. */
export function keysAt({ keys }: RowVersions, places: readonly number[]): Key[] {
  if (places.length === 0) return [];
  const columns = keys.map(textsOf);
  return places.map((place) => columns.map((texts) => texts[place] ?? ''));
}

function tally(migrated: number, unwritten: number, setAside: DerivedBatch['setAside']): RowCounts {
  const ambiguous = setAside.filter(({ outcome }) => outcome.outcome === 'ambiguous').length;
  const failed = setAside.length - ambiguous;
  const skipped = unwritten - setAside.length;
  return { ...NO_ROWS, processed: migrated + unwritten, migrated, skipped, ambiguous, failed };
}
