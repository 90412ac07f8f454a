import { NO_ROWS } from '../../domain/counts.ts';
import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import type { Rows } from '../../targets/postgres/backfill/key-range.ts';
import { updateRange } from '../../targets/postgres/backfill/update-range.ts';
import type { Session } from '../../targets/target.ts';
import { RowNotWritten } from '../errors.ts';
import { attemptRange, type BatchContext, type BatchResult } from './batch.ts';

/** Migrates the range by the plan's SQL expressions; the rows never leave the database. */
export async function migrateBySql(
  session: Session,
  context: BatchContext,
  set: Record<string, string>,
  range: Rows,
): Promise<BatchResult> {
  const { table, where, written, journal } = context;
  const exceptions: RowException[] = [];
  let migrated = 0;
  await attemptRange(
    session,
    context,
    range,
    async (part) => {
      const update = { set, written, where, range: part, journal };
      const { found, changed } = await updateRange(session, table, update);
      if (changed < found) throw new RowNotWritten();
      migrated += changed;
    },
    (exception) => exceptions.push(exception),
  );
  const failed = exceptions.length;
  return { counts: { ...NO_ROWS, processed: migrated + failed, migrated, failed }, exceptions };
}
