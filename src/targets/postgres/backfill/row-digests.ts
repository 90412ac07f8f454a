import type { Session } from '../../target.ts';
import { keyColumns, keyOf } from './find-key.ts';
import { isAmong, keyOrder } from './key-range.ts';
import { Params } from './sql.ts';
import { type BackfillColumn, type BackfillTable, digest, type Key } from './table.ts';

/**
 * Digests of these columns of the rows with these keys, in hexadecimal digits and in the order of the keys. Rows that are
 * gone are left out.
 * @param lock nobody else changes the rows until the transaction ends.
 */
export async function readDigests(
  session: Session,
  table: BackfillTable,
  columns: readonly BackfillColumn[],
  keys: readonly Key[],
  lock: boolean,
): Promise<{ key: Key; digest: string }[]> {
  const params = new Params();
  const { rows } = await session.query<{ digest: string }>(
    `SELECT ${keyColumns(table)}, encode(${digest(table, columns)}, 'hex') AS digest
       FROM ${table.qualifiedName} WHERE ${isAmong(table, { keys }, params)}
      ORDER BY ${keyOrder(table)} ${lock ? `FOR NO KEY UPDATE OF ${table.alias}` : ''}`,
    params.values,
  );
  return rows.map((row) => ({ key: keyOf(table, row), digest: row.digest }));
}
