import { NO_ROWS } from '../domain/counts.ts';
import type { RowException } from '../targets/postgres/backfill/exceptions.ts';
import type { KeyRange } from '../targets/postgres/backfill/key-range.ts';
import { updateRange } from '../targets/postgres/backfill/update-range.ts';
import type { Session } from '../targets/target.ts';
import { attemptRange, type BatchContext, type BatchResult } from './batch.ts';
import { RowNotWritten } from './errors.ts';

/** Migrates the range by the plan's SQL expressions; the rows never leave the database. */
export async function migrateBySql(
  session: Session,
  context: BatchContext,
  set: Record<string, string>,
  range: KeyRange,
): Promise<BatchResult> {
  const { table, written, journal, phase } = context;
  const exceptions: RowException[] = [];
  let migrated = 0;
  await attemptRange(
    session,
    table,
    range,
    async (part) => {
      const update = { set, written, where: phase.where, range: part, journal };
      const { found, changed } = await updateRange(session, table, update);
      if (changed < found) throw new RowNotWritten();
      migrated += changed;
    },
    (exception) => exceptions.push(exception),
  );
  const failed = exceptions.length;
  return { counts: { ...NO_ROWS, processed: migrated + failed, migrated, failed }, exceptions };
}
