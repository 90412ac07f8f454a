import type { RowCounts } from '../domain/counts.ts';
import type { BackfillPhase } from '../domain/plan.ts';
import type { RowException } from '../targets/postgres/backfill/exceptions.ts';
import { listKeys } from '../targets/postgres/backfill/find-key.ts';
import type { Journal } from '../targets/postgres/backfill/journal.ts';
import { type KeyRange, spanOf } from '../targets/postgres/backfill/key-range.ts';
import { withSavepoint } from '../targets/postgres/backfill/savepoint.ts';
import type { BackfillColumn, BackfillTable } from '../targets/postgres/backfill/table.ts';
import type { Session } from '../targets/target.ts';
import { bisect } from './bisect.ts';
import { isRowError, rowFailure } from './errors.ts';
import type { Transform } from './transform.ts';

/** What a batch works with, the same for all batches of a backfill. */
export type BatchContext = {
  phase: BackfillPhase;
  table: BackfillTable;
  /** Columns that the phase writes, in the journal's order. */
  written: readonly BackfillColumn[];
  /** Undefined where the plan needs no way back. */
  journal: Journal | undefined;
  /** Undefined for SQL transforms. */
  transform: Transform | undefined;
};

export type BatchResult = { counts: RowCounts; exceptions: RowException[] };

/** Reads the range, leaving out the rows that fail on being read; those come as failures, in the order of their keys. */
export async function collectRange<T>(
  session: Session,
  table: BackfillTable,
  range: KeyRange,
  read: (part: KeyRange) => Promise<T[]>,
): Promise<{ rows: T[]; failures: RowException[] }> {
  const rows: T[] = [];
  const failures: RowException[] = [];
  await attemptRange(
    session,
    table,
    range,
    async (part) => {
      // Not spread: a batch may have more rows than a call takes arguments.
      for (const row of await read(part)) rows.push(row);
    },
    (exception) => failures.push(exception),
  );
  return { rows, failures };
}

/**
 * Attempts the whole range in one go; when rows are at fault, lists its keys and closes in on them.
 * @param onFailing hears of each row that fails on its own, in the order of the keys.
 */
export async function attemptRange(
  session: Session,
  table: BackfillTable,
  range: KeyRange,
  attempt: (range: KeyRange) => Promise<void>,
  onFailing: (exception: RowException) => void,
): Promise<void> {
  try {
    await withSavepoint(session, () => attempt(range));
  } catch (error) {
    if (!isRowError(error)) throw error;
    await bisect(
      await listKeys(session, table, range),
      (keys) => withSavepoint(session, () => attempt(spanOf(keys))),
      (key, cause) => onFailing({ key, kind: 'failed', ...rowFailure(cause) }),
    );
  }
}
