import type { Rows } from '../../targets/postgres/backfill/key-range.ts';
import { sqlState } from '../../targets/postgres/errors.ts';
import type { Session } from '../../targets/target.ts';
import type { BatchContext, BatchResult } from './batch.ts';
import { migrateByInsertion } from './insert-batch.ts';
import { migrateByTransform } from './registered-batch.ts';
import { migrateBySql } from './sql-batch.ts';

/** After a conflict, for so many batches more conflicts are expected: at most one batch in so many is then tried twice. */
const CAUTIOUS_BATCHES = 20;
const UNIQUE_VIOLATION = '23505';

/**
 * Migrates these rows, as far as they meet the context's condition, in the session's transaction. Rows that fail, and those
 * that the transform cannot decide on, come back as exceptions; nothing of them is written.
 */
export function migrateRows(session: Session, context: BatchContext, rows: Rows): Promise<BatchResult> {
  return expectingFewConflicts(context, (expecting, conflicts) =>
    migrate(session, expecting, rows, conflicts),
  );
}

/**
 * The first attempt of a batch takes it that none of its rows is journalled or copied already, because asking for each row
 * costs a tenth of a batch's time or more. Where one is, the batch fails, and its second attempt expects it.
 * @param work is told whether to expect `conflicts`; the journal of its context says so as well.
 */
export async function expectingFewConflicts<T>(
  context: BatchContext,
  work: (context: BatchContext, conflicts: boolean) => Promise<T>,
): Promise<T> {
  const { caution, journal } = context;
  const conflicts = context.isolateFailures || caution.batches > 0;
  if (caution.batches > 0) caution.batches -= 1;
  try {
    return await work({ ...context, journal: journal && { ...journal, conflicts } }, conflicts);
  } catch (error) {
    if (!conflicts && sqlState(error) === UNIQUE_VIOLATION) caution.batches = CAUTIOUS_BATCHES;
    throw error;
  }
}

function migrate(
  session: Session,
  context: BatchContext,
  rows: Rows,
  conflicts: boolean,
): Promise<BatchResult> {
  const { transform } = context.phase;
  if (context.transform) return migrateByTransform(session, context, context.transform, rows);
  if (context.insertion) return migrateByInsertion(session, context, context.insertion, rows, conflicts);
  if (transform.kind === 'sql') return migrateBySql(session, context, transform.set, rows);
  throw new Error(`a transform of the kind ${transform.kind} cannot be run here`);
}
