import type { Session } from '../../target.ts';
import { isAmong, type KeyRange, keyOrder, type Rows } from './key-range.ts';
import { Params, parenthesised } from './sql.ts';
import { type BackfillTable, type Key, ref, withStandIns } from './table.ts';

/** The highest key; undefined when the table is empty. */
export async function findUpperBound(session: Session, table: BackfillTable): Promise<Key | undefined> {
  const { rows } = await session.query(
    `SELECT ${keyColumns(table)} FROM ${table.qualifiedName} ORDER BY ${keyOrder(table, 'DESC')} LIMIT 1`,
  );
  return rows[0] && keyOf(table, rows[0]);
}

/** Key of the `size`-th row of the range; undefined when it has fewer. */
export async function findBatchEnd(
  session: Session,
  table: BackfillTable,
  range: KeyRange,
  size: number,
): Promise<Key | undefined> {
  const params = new Params();
  const { rows } = await session.query(
    `SELECT ${keyColumns(table)} FROM ${table.qualifiedName} WHERE ${isAmong(table, range, params)}
     ORDER BY ${keyOrder(table)} OFFSET ${params.add(size - 1)} LIMIT 1`,
    params.values,
  );
  return rows[0] && keyOf(table, rows[0]);
}

/** Key of the n-th row that meets the condition, counted from 1; undefined when there are fewer. */
export async function findNthKey(
  session: Session,
  table: BackfillTable,
  where: string,
  n: number,
): Promise<Key | undefined> {
  const { rows } = await session.query(
    `SELECT ${keyColumns(table)} FROM ${withStandIns(table)} WHERE ${parenthesised(where)}
     ORDER BY ${keyOrder(table)} OFFSET $1 LIMIT 1`,
    [n - 1],
  );
  return rows[0] && keyOf(table, rows[0]);
}

/** All keys of these rows in order, whether or not the rows meet the plan's condition. */
export async function listKeys(session: Session, table: BackfillTable, range: Rows): Promise<Key[]> {
  const params = new Params();
  const { rows } = await session.query(
    `SELECT ${keyColumns(table)} FROM ${table.qualifiedName} WHERE ${isAmong(table, range, params)}
     ORDER BY ${keyOrder(table)}`,
    params.values,
  );
  return rows.map((row) => keyOf(table, row));
}

/** The key's columns as text, named `k0`, `k1`, …. */
export function keyColumns(table: BackfillTable): string {
  return table.key.map((column, i) => `${ref(table, column)}::text AS k${i}`).join(', ');
}

export function keyOf(table: BackfillTable, row: Record<string, unknown>): Key {
  return table.key.map((_, i) => String(row[`k${i}`]));
}
