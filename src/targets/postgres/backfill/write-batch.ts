import type { Session } from '../../target.ts';
import { quoteIdentifier } from '../catalog.ts';
import { type Journal, journalItems, journalling } from './journal.ts';
import { isAmong, type KeyRange, keyEquals } from './key-range.ts';
import { Params } from './sql.ts';
import type { BackfillColumn, BackfillTable } from './table.ts';

/** Rows as they were read, and what they are to become; all of it as parameters of the type `text[]` in binary form. */
export type RowVersions = {
  count: number;
  /** By key column. */
  keys: readonly Uint8Array[];
  versions: Uint8Array;
};

export type WriteBatch = {
  rows: RowVersions & {
    /** By column that is written. */
    values: readonly Uint8Array[];
  };
  columns: readonly BackfillColumn[];
  /** Where the rows lie, so that no join can scan the whole table. */
  span: KeyRange;
  /** Columns that the transform may write at all: these are journalled. */
  written: readonly BackfillColumn[];
  journal: Journal | undefined;
};

/**
 * Writes those of the rows that nobody has changed since they were read: that a row still has the `xmin` with which it was
 * read says that it is the very same version of it. One that somebody is changing at the moment is waited for.
 * @returns the places of the rows that were not written: changed or deleted since, or held back by a trigger or policy.
 */
export async function writeUnchanged(
  session: Session,
  table: BackfillTable,
  { rows, columns, span, written, journal }: WriteBatch,
): Promise<number[]> {
  const params = new Params();
  const given = givenRows(table, rows, rows.values, params);
  const assignments = columns.map(
    (column, i) => `${quoteIdentifier(column.name)} = cutover_v${i}::${column.castType}`,
  );
  const items = journalItems(table, written, journal, ({ name }) => `cutover_old.${quoteIdentifier(name)}`);
  const needsOld = journal?.keep === 'rows';
  const { rows: answer } = await session.query<{ written: number[] | null }>(
    `WITH cutover_changed AS (
       UPDATE ${table.qualifiedName} SET ${assignments.join(', ')}
         FROM ${given} ${needsOld && !table.returnsOld ? joinOld(table, span, params) : ''}
        WHERE ${isUnchanged(table)} AND ${isAmong(table, span, params)}
       RETURNING ${needsOld && table.returnsOld ? 'WITH (OLD AS cutover_old)' : ''} cutover_n, ${items}
     )${journalling(table, written, journal)}
     SELECT CASE WHEN count(*) < ${params.add(rows.count)}::int THEN coalesce(array_agg(cutover_n::int), '{}') END AS written
       FROM cutover_changed`,
    params.values,
  );
  const [{ written: numbers } = { written: [] }] = answer;
  return numbers === null ? [] : others(rows.count, numbers);
}

/** Of a row that is written, the version that the snapshot shows is the one that is overwritten: both have the same xmin. */
function joinOld(table: BackfillTable, span: KeyRange, params: Params): string {
  const old = { ...table, alias: 'cutover_old' };
  return `JOIN ${table.qualifiedName} AS cutover_old ON ${keyEquals(old, givenKey)} AND ${isAmong(old, span, params)}`;
}

/**
 * Locks those of the rows that nobody has changed since they were read, until the transaction ends.
 * @param span where the rows lie, so that no join can scan the whole table.
 * @returns the places of the others.
 */
export async function lockUnchanged(
  session: Session,
  table: BackfillTable,
  rows: RowVersions,
  span: KeyRange,
): Promise<number[]> {
  const params = new Params();
  const found = await session.query<{ n: number }>(
    `SELECT cutover_n::int AS n FROM ${givenRows(table, rows, [], params)}
       JOIN ${table.qualifiedName} ON ${isUnchanged(table)}
      WHERE ${isAmong(table, span, params)}
        FOR NO KEY UPDATE OF ${table.alias}`,
    params.values,
  );
  return others(
    rows.count,
    found.rows.map(({ n }) => n),
  );
}

const givenKey = (i: number) => `cutover_k${i}`;

function isUnchanged(table: BackfillTable): string {
  return `${keyEquals(table, givenKey)} AND ${table.alias}.xmin = cutover_version::xid`;
}

/** The rows as a FROM item, numbered from 1 on in `cutover_n`. */
function givenRows(
  table: BackfillTable,
  { keys, versions }: RowVersions,
  values: readonly Uint8Array[],
  params: Params,
): string {
  const arrays = [...keys, versions, ...values].map((array) => `${params.add(array)}::text[]`);
  const names = [
    ...table.key.map((_, i) => givenKey(i)),
    'cutover_version',
    ...values.map((_, i) => `cutover_v${i}`),
    'cutover_n',
  ];
  return `unnest(${arrays.join(', ')}) WITH ORDINALITY AS cutover_given(${names.join(', ')})`;
}

/** The places, from 0 on, that are not among these numbers, which count from 1. */
function others(count: number, numbers: readonly number[]): number[] {
  const among = new Set(numbers);
  return Array.from({ length: count }, (_, place) => place).filter((place) => !among.has(place + 1));
}
