import type { Session } from '../../target.ts';
import { checkedType } from '../backfill/check-values.ts';
import { isAmong, keyEquals, type Rows } from '../backfill/key-range.ts';
import { Params } from '../backfill/sql.ts';
import { type BackfillTable, ref } from '../backfill/table.ts';
import { type ComparedColumn, isDifferent } from './comparison.ts';
import {
  DIFFERING,
  type DifferingRow,
  type DifferingValue,
  differingItems,
  readDiffering,
} from './differing.ts';

/** Rows with values that were derived for them; all of it as parameters of the type `text[]` in binary form. */
export type DerivedRows = {
  count: number;
  /** By key column. */
  keys: readonly Uint8Array[];
  /** The `xmin` with which they were read; rows that have another one by now are not compared. */
  versions?: Uint8Array | undefined;
  /** By column that was derived. */
  values: readonly Uint8Array[];
};

export type CompareRows = {
  rows: DerivedRows;
  /** Those that were derived; none where it only counts which rows are as they were read. */
  columns: readonly ComparedColumn[];
  /** Where the rows lie, so that no join can scan the whole table. */
  among: Rows;
  /** Whether to tell which columns differ, and how. */
  detailed: boolean;
};

const givenKey = (i: number) => `cutover_k${i}`;

/**
 * Compares rows with the values that were derived for them.
 * @returns `differing` rows, and the places of those that were not compared: gone, or changed since they were read.
 * @throws the server's error when a value does not cast to its column's type.
 */
export async function compareRows(
  session: Session,
  table: BackfillTable,
  { rows, columns, among, detailed }: CompareRows,
): Promise<{ differing: DifferingRow[]; others: number[] }> {
  const params = new Params();
  const arrays = [...rows.keys, ...(rows.versions ? [rows.versions] : []), ...rows.values];
  const names = [
    ...table.key.map((_, i) => givenKey(i)),
    ...(rows.versions ? ['cutover_version'] : []),
    ...columns.map((_, i) => `cutover_v${i}`),
    'cutover_n',
  ];
  const compared = columns.map((column, i) => {
    const is = ref(table, column.column);
    const should = `cutover_v${i}::${checkedType(column.column)}`;
    return { name: column.column.name, differs: isDifferent(column, is, `cutover_v${i}`), is, should };
  });
  const differs = compared.length > 0 ? compared.map((column) => column.differs).join(' OR ') : 'false';
  const sameVersion = rows.versions ? ` AND ${table.alias}.xmin = cutover_version::xid` : '';
  const { rows: answer } = await session.query<{ seen: number[] | null; differing: DifferingValue[] }>(
    `SELECT CASE WHEN count(*) < ${params.add(rows.count)}::int THEN coalesce(array_agg(n), '{}') END AS seen,
            coalesce(json_agg(${DIFFERING}) FILTER (WHERE differs), '[]') AS differing
       FROM (SELECT cutover_n::int AS n, (${differs}) AS differs, ${differingItems(table, detailed ? compared : [])}
               FROM unnest(${arrays.map((array) => `${params.add(array)}::text[]`).join(', ')})
                    WITH ORDINALITY AS cutover_given(${names.join(', ')})
               JOIN ${table.qualifiedName} ON ${keyEquals(table, givenKey)}${sameVersion}
              WHERE ${isAmong(table, among, params)}) AS cutover_compared`,
    params.values,
  );
  const [{ seen, differing } = { seen: [], differing: [] }] = answer;
  return { differing: differing.map(readDiffering), others: seen === null ? [] : others(rows.count, seen) };
}

/** The places, from 0 on, that are not among these numbers, which count from 1; all of them when there are no numbers. */
function others(count: number, numbers: readonly number[]): number[] {
  const among = new Set(numbers);
  return Array.from({ length: count }, (_, place) => place).filter((place) => !among.has(place + 1));
}
