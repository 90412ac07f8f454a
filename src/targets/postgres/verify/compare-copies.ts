import type { Session } from '../../target.ts';
import { checkedType } from '../backfill/check-values.ts';
import {
  fromRows,
  givenValues,
  type Insertion,
  isIdentified,
  updatedColumns,
} from '../backfill/insertion.ts';
import type { Rows } from '../backfill/key-range.ts';
import { Params } from '../backfill/sql.ts';
import { asTextArray, type BackfillTable, ref } from '../backfill/table.ts';
import { type ComparedColumn, isDifferent } from './comparison.ts';
import {
  DIFFERING,
  type DifferingRow,
  type DifferingValue,
  detailsItem,
  readDiffering,
} from './differing.ts';

export type CompareCopies = {
  /** Columns of the other table that are written. */
  columns: readonly ComparedColumn[];
  where: string | undefined;
  range: Rows;
  /** Whether to tell which columns differ, and how. */
  detailed: boolean;
};

/**
 * Looks for each of the range's rows that meet the condition whether it has a copy in the other table, and where copies follow
 * their rows, whether that has the row's values; in one statement and so at one moment. Each copy is looked up by what
 * identifies it, so that no chunk can scan the whole of that table.
 */
export async function compareCopies(
  session: Session,
  table: BackfillTable,
  insertion: Insertion,
  { columns, where, range, detailed }: CompareCopies,
): Promise<{ checked: number; differing: DifferingRow[] }> {
  const params = new Params();
  const { into } = insertion;
  const [identity] = into.key;
  const missing = identity ? `${ref(into, identity)} IS NULL` : 'false';
  const updated = updatedColumns(insertion);
  const compared = insertion.values.map(({ column }, i) => {
    const by = columns.find((one) => one.column === column)?.by ?? 'text';
    const is = ref(into, column);
    const follows = updated.includes(column);
    return {
      name: column.name,
      differs: follows ? isDifferent({ column, by }, is, `cutover_v${i}`) : missing,
      is,
      should: `cutover_v${i}::${checkedType(column)}`,
    };
  });
  const differs = [missing, ...compared.map((column) => column.differs)].join(' OR ');
  const { rows } = await session.query<{ checked: number; differing: DifferingValue[] }>(
    `SELECT count(*)::float8 AS checked, coalesce(json_agg(${DIFFERING}) FILTER (WHERE differs), '[]') AS differing
       FROM (SELECT (${differs}) AS differs, cutover_key AS key,
                    hashtextextended(concat(cutover_row::text, (${into.alias}.*)::text), 0)::text AS state,
                    ${detailsItem(detailed ? compared : [])} AS details
               FROM (SELECT ${asTextArray(table, table.key)} AS cutover_key, ${table.alias} AS cutover_row,
                            ${givenValues(insertion)} ${fromRows(table, range, where, params)} OFFSET 0) AS cutover_given
               LEFT JOIN LATERAL (SELECT * FROM ${into.qualifiedName} WHERE ${isIdentified(insertion)} OFFSET 0)
                      AS ${into.alias} ON true
            ) AS cutover_compared`,
    params.values,
  );
  const { checked, differing } = rows[0] ?? { checked: 0, differing: [] };
  return { checked, differing: differing.map(readDiffering) };
}
