import type { Session } from '../../target.ts';
import { checkedType } from '../backfill/check-values.ts';
import { isAmong, type Rows } from '../backfill/key-range.ts';
import { Params, parenthesised } from '../backfill/sql.ts';
import { type BackfillTable, ref } from '../backfill/table.ts';
import { type ComparedColumn, isDifferent } from './comparison.ts';
import {
  DIFFERING,
  type DifferingRow,
  type DifferingValue,
  differingItems,
  readDiffering,
} from './differing.ts';

export type CompareRange = {
  /** SQL expressions by the column they are written to. */
  set: Record<string, string>;
  columns: readonly ComparedColumn[];
  where: string | undefined;
  range: Rows;
  /** Whether to tell which columns differ, and how. */
  detailed: boolean;
};

/**
 * Computes the expressions over the range's rows that meet the condition, in one statement and so at one moment, and compares.
 * Only what differs leaves the database.
 */
export async function compareRange(
  session: Session,
  table: BackfillTable,
  { set, columns, where, range, detailed }: CompareRange,
): Promise<{ checked: number; differing: DifferingRow[] }> {
  const params = new Params();
  const compared = columns.map((compared) => {
    const { column } = compared;
    const is = ref(table, column);
    const wanted = parenthesised(set[column.name] ?? 'NULL');
    const should = `${wanted}::${checkedType(column)}`;
    return { name: column.name, differs: isDifferent(compared, is, wanted), is, should };
  });
  const { rows } = await session.query<{ checked: number; differing: DifferingValue[] }>(
    `SELECT count(*)::float8 AS checked, coalesce(json_agg(${DIFFERING}) FILTER (WHERE differs), '[]') AS differing
       FROM (SELECT ${compared.map(({ differs }) => differs).join(' OR ')} AS differs,
                    ${differingItems(table, detailed ? compared : [])}
               FROM ${table.qualifiedName}
              WHERE ${isAmong(table, range, params)}${where === undefined ? '' : ` AND ${parenthesised(where)}`}
            ) AS cutover_compared`,
    params.values,
  );
  const { checked, differing } = rows[0] ?? { checked: 0, differing: [] };
  return { checked, differing: differing.map(readDiffering) };
}
