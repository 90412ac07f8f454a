import type { RowCounts } from '../../domain/counts.ts';
import type { BackfillPhase } from '../../domain/plan.ts';
import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import { listKeys } from '../../targets/postgres/backfill/find-key.ts';
import type { Insertion } from '../../targets/postgres/backfill/insertion.ts';
import type { Journal } from '../../targets/postgres/backfill/journal.ts';
import { type Rows, spanOf } from '../../targets/postgres/backfill/key-range.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { BackfillColumn, BackfillTable } from '../../targets/postgres/backfill/table.ts';
import type { Session } from '../../targets/target.ts';
import { bisect } from '../bisect.ts';
import { isRowError, rowFailure } from '../errors.ts';
import type { TransformThreads } from '../transform/threads.ts';
import type { Transform } from '../transform/transform.ts';

/** What a batch works with, the same for all batches of a backfill. */
export type BatchContext = {
  phase: BackfillPhase;
  table: BackfillTable;
  /** SQL condition for the rows that it deals with; undefined for all. */
  where: string | undefined;
  /** Columns that the phase writes, in the journal's order. */
  written: readonly BackfillColumn[];
  /** Undefined where the plan needs no way back. */
  journal: Journal | undefined;
  /**
   * Whether rows at fault are looked for within the transaction, which goes on without them; otherwise the first one ends
   * it, and saves a savepoint to the many batches that have none.
   */
  isolateFailures: boolean;
  /** Set for a transform that inserts; `written` are columns of the other table then. */
  insertion: Insertion | undefined;
  /** Undefined for SQL transforms. */
  transform: Transform | undefined;
  /** Where the transform runs; undefined for the main thread. */
  threads: TransformThreads | undefined;
  /** So many batches more take the slower ways that expect rows to have been dealt with before; counted down by each. */
  caution: { batches: number };
};

export type BatchResult = { counts: RowCounts; exceptions: RowException[] };

type Isolation = Pick<BatchContext, 'phase' | 'table' | 'isolateFailures'>;

/** Reads the range, leaving out the rows that fail on being read; those come as failures, in the order of their keys. */
export async function collectRange<T>(
  session: Session,
  context: Isolation,
  range: Rows,
  read: (part: Rows) => Promise<T[]>,
): Promise<{ rows: T[]; failures: RowException[] }> {
  const rows: T[] = [];
  const failures: RowException[] = [];
  await attemptRange(
    session,
    context,
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
  { phase, table, isolateFailures }: Isolation,
  range: Rows,
  attempt: (range: Rows) => Promise<void>,
  onFailing: (exception: RowException) => void,
): Promise<void> {
  if (!isolateFailures) return attempt(range);
  try {
    await withSavepoint(session, () => attempt(range));
  } catch (error) {
    if (!isRowError(error)) throw error;
    await bisect(
      await listKeys(session, table, range),
      // A span would take in rows that the set leaves out.
      (keys) => withSavepoint(session, () => attempt('keys' in range ? { keys } : spanOf(keys))),
      (key, cause) => onFailing({ key, kind: 'failed', ...rowFailure(cause, phase.redact) }),
    );
  }
}
