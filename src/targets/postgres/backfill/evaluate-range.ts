import type { Session } from '../../target.ts';
import { checkedType } from './check-values.ts';
import { keyColumns, keyOf } from './find-key.ts';
import { inRange, type KeyRange, keyOrder } from './key-range.ts';
import { Params, parenthesised } from './sql.ts';
import { type BackfillColumn, type BackfillTable, type Key, ref, withStandIns } from './table.ts';

/** A row's written columns before and after, as text. */
export type EvaluatedRow = { key: Key; before: (string | null)[]; after: (string | null)[] };

export type EvaluateRange = {
  set: Record<string, string>;
  written: readonly BackfillColumn[];
  where: string | undefined;
  range: KeyRange;
  limit: number | undefined;
};

/** What the update of the range would write, without writing it. Columns that do not exist yet are NULL before. */
export async function evaluateRange(
  session: Session,
  table: BackfillTable,
  { set, written, where, range, limit }: EvaluateRange,
): Promise<EvaluatedRow[]> {
  const params = new Params();
  const cells = written.flatMap((column, i) => [
    `${ref(table, column)}::text AS b${i}`,
    `${parenthesised(set[column.name] ?? 'NULL')}::${checkedType(column)}::text AS a${i}`,
  ]);
  const { rows } = await session.query<Record<string, string | null>>(
    `SELECT ${[keyColumns(table), ...cells].join(', ')}
       FROM ${withStandIns(table)}
      WHERE ${inRange(table, range, params)}${where === undefined ? '' : ` AND ${parenthesised(where)}`}
      ORDER BY ${keyOrder(table)} ${limit === undefined ? '' : `LIMIT ${params.add(limit)}`}`,
    params.values,
  );
  return rows.map((row) => ({
    key: keyOf(table, row),
    before: written.map((_, i) => row[`b${i}`] ?? null),
    after: written.map((_, i) => row[`a${i}`] ?? null),
  }));
}
