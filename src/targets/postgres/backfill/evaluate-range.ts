import { stripCasts } from '../../../domain/strip-casts.ts';
import type { Session } from '../../target.ts';
import { checkedType } from './check-values.ts';
import { keyColumns, keyOf } from './find-key.ts';
import { isAmong, keyOrder, type Rows } from './key-range.ts';
import { Params, parenthesised } from './sql.ts';
import { type BackfillColumn, type BackfillTable, type Key, ref, withStandIns } from './table.ts';

/** A row's written columns before and after, as text. */
export type EvaluatedRow = {
  key: Key;
  before: (string | null)[];
  /** What the new values were before they were cast; null where a cast can lose nothing. */
  sources: (string | null)[];
  after: (string | null)[];
};

export type EvaluateRange = {
  set: Record<string, string>;
  written: readonly BackfillColumn[];
  where: string | undefined;
  range: Rows;
  limit: number | undefined;
};

/** What the update of the range would write, without writing it. Columns that do not exist yet are NULL before. */
export async function evaluateRange(
  session: Session,
  table: BackfillTable,
  { set, written, where, range, limit }: EvaluateRange,
): Promise<EvaluatedRow[]> {
  const params = new Params();
  const cells = written.flatMap((column, i) => {
    const expression = set[column.name] ?? 'NULL';
    return [
      `${ref(table, column)}::text AS b${i}`,
      `${uncast(column, expression)} AS s${i}`,
      `${parenthesised(expression)}::${checkedType(column)}::text AS a${i}`,
    ];
  });
  const { rows } = await session.query<Record<string, string | null>>(
    `SELECT ${[keyColumns(table), ...cells].join(', ')}
       FROM ${withStandIns(table)}
      WHERE ${isAmong(table, range, params)}${where === undefined ? '' : ` AND ${parenthesised(where)}`}
      ORDER BY ${keyOrder(table)} ${limit === undefined ? '' : `LIMIT ${params.add(limit)}`}`,
    params.values,
  );
  return rows.map((row) => ({
    key: keyOf(table, row),
    before: written.map((_, i) => row[`b${i}`] ?? null),
    sources: written.map((_, i) => row[`s${i}`] ?? null),
    after: written.map((_, i) => row[`a${i}`] ?? null),
  }));
}

/** Types whose values an assignment rounds or cuts without a word. */
const ROUNDING_TYPE = /\(|^(?:smallint|integer|bigint|real|double precision|date|time)/;

/** SQL for the text of what an expression casts to the column's type; NULL where nothing can be lost on the way. */
export function uncast(column: BackfillColumn, expression: string): string {
  const operand = stripCasts(expression);
  const isCast = operand !== expression.trim();
  return isCast || ROUNDING_TYPE.test(column.type) ? `${parenthesised(operand)}::text` : 'NULL::text';
}
