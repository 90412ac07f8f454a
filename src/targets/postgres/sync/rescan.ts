import type { Session } from '../../target.ts';
import { findBatchEnd } from '../backfill/find-key.ts';
import { isAmong, type KeyRange } from '../backfill/key-range.ts';
import { Params } from '../backfill/sql.ts';
import { asTextArray, type BackfillTable, type Key } from '../backfill/table.ts';
import type { SyncRecord } from './records.ts';

/**
 * Notes the keys of the next `rows` rows, in the order of their keys, that were written by transactions from
 * `sync.rescanFrom` on.
 * @param upTo the table's highest key.
 * @returns the key up to which it has looked.
 */
export async function rescanBatch(
  session: Session,
  table: BackfillTable,
  sync: SyncRecord,
  runId: string,
  upTo: Key,
  rows: number,
): Promise<Key> {
  const rest: KeyRange = { after: sync.rescanAfter ?? undefined, upTo };
  const end = (await findBatchEnd(session, table, rest, rows)) ?? upTo;
  const params = new Params();
  const insert = `INSERT INTO cutover.captured (sync, run_id, key)
    SELECT ${params.add(sync.id)}, ${params.add(runId)}, ${asTextArray(table, table.key)}`;
  // Ages count back from now and wrap around after 2³² transactions, as row versions do.
  const age = `(${table.alias}.xmin::text::bigint - (${params.add(sync.rescanFrom)}::bigint & 4294967295)) & 4294967295`;
  await session.query(
    `${insert} FROM ${table.qualifiedName}
      WHERE ${isAmong(table, { ...rest, upTo: end }, params)} AND ${age} < 2147483648`,
    params.values,
  );
  return end;
}
