import type { Session } from '../../target.ts';
import { quoteIdentifier } from '../catalog.ts';
import { type Journal, journalItems, journalling } from './journal.ts';
import { isAmong, keyEquals, keysByColumn, spanOf } from './key-range.ts';
import { Params } from './sql.ts';
import { type BackfillColumn, type BackfillTable, type Key, ref } from './table.ts';

/** New values of a row as text, in the order of the columns they go to. */
export type NewRow = { key: Key; values: (string | null)[] };

export type WriteRows = {
  rows: readonly NewRow[];
  /** Columns that these rows write. */
  columns: readonly BackfillColumn[];
  /** Columns that the transform may write at all: these are journalled. */
  written: readonly BackfillColumn[];
  journal: Journal | undefined;
};

/**
 * Writes the rows, which the transaction has locked and which come in the order of their keys; returns how many were really
 * written. The span of the keys is given as well, so that no join can scan the whole table.
 */
export async function writeRows(
  session: Session,
  table: BackfillTable,
  { rows, columns, written, journal }: WriteRows,
): Promise<number> {
  const params = new Params();
  const keys = rows.map((row) => row.key);
  const span = isAmong(table, spanOf(keys), params);
  const arrays = [
    ...keysByColumn(table, keys),
    ...columns.map((_, i) => rows.map((row) => row.values[i] ?? null)),
  ].map((values) => `${params.add(values)}::text[]`);
  const names = [...table.key.map((_, i) => `cutover_k${i}`), ...columns.map((_, i) => `cutover_v${i}`)];
  const assignments = columns.map(
    (column, i) => `${quoteIdentifier(column.name)} = cutover_v${i}::${column.castType}`,
  );
  const sameKey = table.key.map((column, i) => `${ref(table, column)} = cutover_typed_k${i}`).join(' AND ');
  const before =
    journal?.keep === 'rows'
      ? written.map((column, i) => `, ${ref(table, column)} AS cutover_b${i}`).join('')
      : '';
  const typedKeys = table.key.map((column, i) => `cutover_k${i}::${column.castType} AS cutover_typed_k${i}`);
  const result = await session.query<{ changed: number }>(
    `WITH cutover_new AS MATERIALIZED (
       SELECT ${typedKeys.join(', ')}, ${columns.map((_, i) => `cutover_v${i}`).join(', ')}${before}
         FROM unnest(${arrays.join(', ')}) AS cutover_given(${names.join(', ')})
         JOIN ${table.qualifiedName} ON ${keyEquals(table, (i) => `cutover_k${i}`)}
        WHERE ${span}
     ), cutover_changed AS (
       UPDATE ${table.qualifiedName} SET ${assignments.join(', ')}
         FROM cutover_new
        WHERE ${sameKey} AND ${span}
       RETURNING ${journalItems(table, written, journal, (_, i) => `cutover_b${i}`)}
     )${journalling(table, written, journal)}
     SELECT count(*)::float8 AS changed FROM cutover_changed`,
    params.values,
  );
  return result.rows[0]?.changed ?? 0;
}
