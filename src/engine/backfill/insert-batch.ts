import { NO_ROWS } from '../../domain/counts.ts';
import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import {
  countWithoutCopy,
  insertRange,
  listDuplicates,
  listIdentified,
} from '../../targets/postgres/backfill/insert-range.ts';
import { type Insertion, updatedColumns } from '../../targets/postgres/backfill/insertion.ts';
import type { Rows } from '../../targets/postgres/backfill/key-range.ts';
import type { Session } from '../../targets/target.ts';
import { RowNotWritten } from '../errors.ts';
import { attemptRange, type BatchContext, type BatchResult, collectRange } from './batch.ts';

/**
 * Copies the rows into the plan's other table; they never leave the database. A row whose copy is there already is skipped,
 * unless copies get the values of their rows.
 * @param conflicts copies may be there already.
 */
export async function migrateByInsertion(
  session: Session,
  context: BatchContext,
  insertion: Insertion,
  rows: Rows,
  conflicts: boolean,
): Promise<BatchResult> {
  const updates = updatedColumns(insertion).length > 0;
  const apart =
    updates && context.isolateFailures
      ? await setDuplicatesApart(session, context, insertion, rows)
      : { rows, exceptions: [] };
  const exceptions: RowException[] = [...apart.exceptions];
  const counts = { migrated: 0, skipped: 0 };
  await attemptRange(
    session,
    context,
    apart.rows,
    async (part) => {
      const { found, written } = await copy(session, context, insertion, part, conflicts);
      counts.migrated += written;
      counts.skipped += found - written;
    },
    (exception) => exceptions.push(exception),
  );
  const { migrated, skipped } = counts;
  const failed = exceptions.length;
  return {
    counts: { ...NO_ROWS, processed: migrated + skipped + failed, migrated, skipped, failed },
    exceptions,
  };
}

/** @throws RowNotWritten when a row has no copy, or one without its values, though the database has refused none. */
async function copy(
  session: Session,
  { table, where, journal }: BatchContext,
  insertion: Insertion,
  range: Rows,
  conflicts: boolean,
) {
  const inserted = await insertRange(session, table, insertion, { where, range, journal, conflicts });
  if (inserted.written >= inserted.found) return inserted;
  if (updatedColumns(insertion).length > 0) throw new RowNotWritten();
  const suppressed =
    insertion.into.mayRefuseWrites &&
    (await countWithoutCopy(session, table, insertion, { where, range })) > 0;
  if (suppressed) throw new RowNotWritten();
  return inserted;
}

/**
 * Where copies get the values of their rows, several rows with one copy would overwrite each other. The first of a batch has
 * it; the others are set aside. Rows on which the identity itself fails are left for the attempt to find.
 */
async function setDuplicatesApart(
  session: Session,
  context: BatchContext,
  insertion: Insertion,
  range: Rows,
): Promise<{ rows: Rows; exceptions: RowException[] }> {
  const { table, where } = context;
  const { rows: keys, failures } = await collectRange(session, context, range, (part) =>
    listIdentified(session, table, insertion, { where, range: part }),
  );
  const duplicates = await listDuplicates(session, table, insertion, keys);
  if (duplicates.length === 0) return { rows: range, exceptions: [] };
  const ids = new Set(duplicates.map((key) => JSON.stringify(key)));
  return {
    rows: {
      keys: [...keys, ...failures.map(({ key }) => key)].filter((key) => !ids.has(JSON.stringify(key))),
    },
    exceptions: duplicates.map((key) => ({
      key,
      kind: 'failed',
      reason: sharedCopy(insertion),
    })),
  };
}

/** What is said about a row whose copy would be that of a row before it. */
export function sharedCopy({ into }: Insertion): string {
  const identity = into.key.map(({ name }) => name).join(', ');
  return `another row before it has the same row of ${into.qualifiedName}, by (${identity})`;
}
