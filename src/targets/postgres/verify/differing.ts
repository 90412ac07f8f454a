import { asTextArray, type BackfillTable, type Key } from '../backfill/table.ts';
import { quoteLiteral } from '../catalog.ts';

/** A row that is not what its transform makes of it. */
export type DifferingRow = {
  key: Key;
  /** Another one when the row has changed. */
  state: string;
  /** Those that differ, when they were asked for. */
  columns: DifferingColumn[];
};

/** A column's value as text, and the one that it should have. */
export type DifferingColumn = { name: string; is: string | null; should: string | null };

/** SQL for what is told of a column: whether it differs, its value and the one it should have. */
export type ColumnSql = { name: string; differs: string; is: string; should: string };

/** What {@link readDiffering} reads, as select items `key`, `state` and `details`. */
export function differingItems(table: BackfillTable, columns: readonly ColumnSql[]): string {
  return `${asTextArray(table, table.key)} AS key, hashtextextended((${table.alias}.*)::text, 0)::text AS state,
          ${detailsItem(columns)} AS details`;
}

/** Select item for what is told of the columns. */
export function detailsItem(columns: readonly ColumnSql[]): string {
  return `json_build_array(${columns.map(detail).join(', ')})`;
}

function detail({ name, differs, is, should }: ColumnSql): string {
  const entry = `json_build_object('name', ${quoteLiteral(name)}, 'is', (${is})::text, 'should', (${should})::text)`;
  return `CASE WHEN ${differs} THEN ${entry} END`;
}

/** Select item with which the items of differing rows become one value. */
export const DIFFERING = 'json_build_array(key, state, details)';
export type DifferingValue = [key: Key, state: string, details: (DifferingColumn | null)[]];

export function readDiffering([key, state, details]: DifferingValue): DifferingRow {
  return { key, state, columns: details.filter((column) => column !== null) };
}
