import type { Session } from '../../target.ts';
import { quoteIdentifier } from '../catalog.ts';
import { checkedType } from './check-values.ts';
import { keyEquals, keysByColumn } from './key-range.ts';
import type { RowConstraints } from './row-constraints.ts';
import { Params, parenthesised } from './sql.ts';
import { type BackfillColumn, type BackfillTable, type Key, ref, withStandIns } from './table.ts';

/** A row of the table with the values that it would get, as text. */
export type GivenRow = { key: Key; values: readonly (string | null)[] };

/** What would become of the row. */
export type EvaluatedValues = {
  /** Its place among those that were given. */
  place: number;
  /** Its values as the columns would keep them. */
  after: (string | null)[];
  /** Numbers of the conditions that it would violate. */
  violated: number[];
  /** By unique index: what no other row may have as well; null where none is the same. */
  identities: (string | null)[];
  /** By unique index: another row has it when this one is written. */
  taken: boolean[];
};

export type EvaluateValues = {
  columns: readonly BackfillColumn[];
  rows: readonly GivenRow[];
  constraints: RowConstraints;
  /** The rows that are written, undefined for all: until then they have the values that they have now. */
  where: string | undefined;
  /** Whether the rows are inserted unless they are there; else one that is gone meanwhile is left out. */
  inserts: boolean;
};

/**
 * What the table's columns and constraints would make of values that rows would get, without writing them; in the order in
 * which they are given.
 * @throws the server's error when a value does not cast, or a constraint fails on being computed.
 */
export async function evaluateValues(
  session: Session,
  table: BackfillTable,
  { columns, rows, constraints, where, inserts }: EvaluateValues,
): Promise<EvaluatedValues[]> {
  const params = new Params();
  const arrays = [
    ...keysByColumn(
      table,
      rows.map(({ key }) => key),
    ),
    ...columns.map((_, i) => rows.map((row) => row.values[i] ?? null)),
  ].map((values) => `${params.add(values)}::text[]`);
  const names = [...table.key.map((_, i) => `cutover_k${i}`), ...columns.map((_, i) => `cutover_t${i}`)];
  const { conditions, uniques } = constraints;
  const found = await session.query<Record<string, never>>(
    `SELECT (cutover_n - 1)::int AS n, ${[
      ...columns.map((_, i) => `cutover_v${i}::text AS a${i}`),
      ...conditions.map((_, i) => `cutover_checks.c${i}`),
      ...uniques.flatMap((_, i) => [`cutover_ids.u${i}`, `cutover_ids.t${i}`]),
      'true AS there',
    ].join(', ')}
       FROM unnest(${arrays.join(', ')}) WITH ORDINALITY AS cutover_given(${names.join(', ')}, cutover_n)
       ${inserts ? 'LEFT JOIN' : 'JOIN'} ${withStandIns(table)} ON ${keyEquals(table, (i) => `cutover_k${i}`)}
      CROSS JOIN LATERAL (SELECT ${[
        ...columns.map((column, i) => `cutover_t${i}::${checkedType(column)} AS cutover_v${i}`),
        'true',
      ].join(', ')} OFFSET 0) AS cutover_new
      CROSS JOIN LATERAL (SELECT ${rowAfter(table, columns)}) AS cutover_row
      CROSS JOIN LATERAL (SELECT ${selected(conditions.map(({ sql }, i) => `${inRow(table, sql)} AS c${i}`))}) AS cutover_checks
      CROSS JOIN LATERAL (SELECT ${selected(
        uniques.flatMap((unique, i) => [
          `${identity(table, unique)} AS u${i}`,
          `${isTaken(table, unique, where)} AS t${i}`,
        ]),
      )}) AS cutover_ids
      ORDER BY cutover_n`,
    params.values,
  );
  return (found.rows as Record<string, string | number | boolean | null>[]).map((row) => ({
    place: Number(row.n),
    after: columns.map((_, i) => row[`a${i}`] as string | null),
    violated: conditions.flatMap((_, i) => (row[`c${i}`] === false ? [i] : [])),
    identities: uniques.map((_, i) => row[`u${i}`] as string | null),
    taken: uniques.map((_, i) => row[`t${i}`] === true),
  }));
}

function selected(items: readonly string[]): string {
  return items.length === 0 ? 'true' : items.join(', ');
}

/** Select items of the row as it would be. */
function rowAfter(table: BackfillTable, columns: readonly BackfillColumn[]): string {
  return [...table.columns.values()]
    .map((column) => {
      const written = columns.findIndex(({ name }) => name === column.name);
      const value = written === -1 ? ref(table, column) : `cutover_v${written}`;
      return `${value} AS ${quoteIdentifier(column.name)}`;
    })
    .join(', ');
}

/**
 * The catalog's SQL names columns without their table, and the row as a whole by the table's name: neither may mean the row
 * as it is now.
 */
function inRow({ alias }: BackfillTable, sql: string): string {
  return `(SELECT ${sql} FROM (SELECT cutover_row.*) AS ${alias})`;
}

type Unique = RowConstraints['uniques'][number];

function identity(table: BackfillTable, { items, predicate, nullsDistinct }: Unique): string {
  const values = `ROW(${items.join(', ')})`;
  const conditions = [
    ...(predicate === null ? [] : [parenthesised(predicate)]),
    ...(nullsDistinct ? items.map((item) => `(${item}) IS NOT NULL`) : []),
    'true',
  ];
  return inRow(table, `CASE WHEN ${conditions.join(' AND ')} THEN ${values}::text END`);
}

/** Rows before this one have their new values by then, which are compared elsewhere; those after it still the old ones. */
function isTaken(table: BackfillTable, unique: Unique, where: string | undefined): string {
  const known = unique.columns.every((name) => table.columns.get(name)?.missing === false);
  if (!known) return 'false';
  const ids = unique.items.map((_, i) => `cutover_id.i${i}`);
  const same = unique.items.map((item, i) =>
    unique.nullsDistinct ? `(${item}) = ${ids[i]}` : `(${item}) IS NOT DISTINCT FROM ${ids[i]}`,
  );
  const own = table.key.map((column, i) => `cutover_key.k${i} = ${ref(table, column)}`).join(' AND ');
  const ownKey = table.key.map((_, i) => `cutover_key.k${i}`).join(', ');
  const otherKey = table.key.map((column) => ref(table, column)).join(', ');
  const later = `(${otherKey}) > (${ownKey})`;
  const isOld = where === undefined ? later : `(NOT coalesce(${parenthesised(where)}, false) OR ${later})`;
  const predicate = unique.predicate === null ? 'true' : parenthesised(unique.predicate);
  return `EXISTS (
    SELECT FROM ${inRowItems(table, unique)} AS cutover_id,
                (SELECT ${table.key.map((column, i) => `${ref(table, column)} AS k${i}`).join(', ')}) AS cutover_key
     WHERE cutover_id.counts
       AND EXISTS (SELECT FROM ${table.qualifiedName} WHERE ${same.join(' AND ')} AND ${predicate} AND NOT coalesce(${own}, false) AND ${isOld}))`;
}

function inRowItems({ alias }: BackfillTable, { items, predicate }: Unique): string {
  const values = items.map((item, i) => `(${item}) AS i${i}`).join(', ');
  const counts = predicate === null ? 'true' : parenthesised(predicate);
  return `(SELECT ${values}, ${counts} AS counts FROM (SELECT cutover_row.*) AS ${alias})`;
}
