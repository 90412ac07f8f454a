import type { Session } from '../../target.ts';
import { keyColumns, keyOf } from './find-key.ts';
import { isAmong, keyOrder, type Rows } from './key-range.ts';
import { Params, parenthesised } from './sql.ts';
import { type BackfillColumn, type BackfillTable, type Key, ref, withStandIns } from './table.ts';

/** A row as text, in the order of the columns that were asked for. */
export type TextRow = { key: Key; cells: (string | null)[] };

export type ReadRange = {
  columns: readonly BackfillColumn[];
  where: string | undefined;
  range: Rows;
  /** Locks the rows until the end of the transaction; without it nothing is locked, and missing columns read as NULL. */
  lock: boolean;
  limit?: number | undefined;
};

/** The range's rows that meet the condition, in the order of their keys. */
export async function readRange(
  session: Session,
  table: BackfillTable,
  { columns, where, range, lock, limit }: ReadRange,
): Promise<TextRow[]> {
  const params = new Params();
  const cells = columns.map((column, i) => `, ${ref(table, column)}::text AS c${i}`).join('');
  const condition = where === undefined ? '' : ` AND ${parenthesised(where)}`;
  const { rows } = await session.query<Record<string, string | null>>(
    `SELECT ${keyColumns(table)}${cells}
       FROM ${lock ? table.qualifiedName : withStandIns(table)}
      WHERE ${isAmong(table, range, params)}${condition}
      ORDER BY ${keyOrder(table)}
      ${limit === undefined ? '' : `LIMIT ${params.add(limit)}`}
      ${lock ? `FOR NO KEY UPDATE OF ${table.alias}` : ''}`,
    params.values,
  );
  return rows.map((row) => ({
    key: keyOf(table, row),
    cells: columns.map((_, i) => row[`c${i}`] ?? null),
  }));
}
