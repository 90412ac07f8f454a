import type { Session } from '../../target.ts';
import { checkedType } from './check-values.ts';
import { uncast } from './evaluate-range.ts';
import { keyOf } from './find-key.ts';
import { givenValues, type Insertion, isIdentified } from './insertion.ts';
import { isAmong, keyOrder, type Rows } from './key-range.ts';
import { Params, parenthesised } from './sql.ts';
import { type BackfillTable, type Key, ref, withStandIns } from './table.ts';

/** A row's copy, as text in the order of the columns that are written. */
export type EvaluatedCopy = {
  key: Key;
  /** As it is; undefined when there is none. */
  before: (string | null)[] | undefined;
  /** What the new values were before they were cast; null where a cast can lose nothing. */
  sources: (string | null)[];
  after: (string | null)[];
};

export type EvaluateInsertion = { where: string | undefined; range: Rows; limit: number | undefined };

/** What copying the range would write, without writing it. */
export async function evaluateInsertion(
  session: Session,
  table: BackfillTable,
  insertion: Insertion,
  { where, range, limit }: EvaluateInsertion,
): Promise<EvaluatedCopy[]> {
  const into = { ...insertion.into, alias: 'cutover_copy' };
  const columns = insertion.values.map(({ column }) => column);
  const params = new Params();
  const keys = table.key.map((column, i) => `${ref(table, column)}::text AS k${i}`).join(', ');
  const cells = columns.flatMap((column, i) => [
    `${column.missing ? 'NULL' : `${ref(into, column)}::text`} AS b${i}`,
    `s${i}`,
    `cutover_v${i}::${checkedType(column)}::text AS a${i}`,
  ]);
  const sources = insertion.values.map(
    ({ column, expression }, i) => `${uncast(column, expression)} AS s${i}`,
  );
  const { rows } = await session.query<Record<string, string | null> & { there: boolean }>(
    `SELECT ${table.key.map((_, i) => `k${i}`).join(', ')}, ${cells.join(', ')}, ${isThere(into)} AS there
       FROM (SELECT ${keys}, row_number() OVER (ORDER BY ${keyOrder(table)}) AS cutover_position,
                    ${[givenValues(insertion), ...sources].join(', ')}
               FROM ${withStandIns(table)}
              WHERE ${isAmong(table, range, params)}${where === undefined ? '' : ` AND ${parenthesised(where)}`}
              ORDER BY ${keyOrder(table)} ${limit === undefined ? '' : `LIMIT ${params.add(limit)}`}) AS cutover_given
       ${mayBeThere(into) ? `LEFT JOIN ${into.qualifiedName} AS ${into.alias} ON ${isIdentified({ ...insertion, into })}` : ''}
      ORDER BY cutover_position`,
    params.values,
  );
  return rows.map((row) => ({
    key: keyOf(table, row),
    before: row.there ? columns.map((_, i) => row[`b${i}`] ?? null) : undefined,
    sources: columns.map((_, i) => row[`s${i}`] ?? null),
    after: columns.map((_, i) => row[`a${i}`] ?? null),
  }));
}

function mayBeThere({ key }: BackfillTable): boolean {
  return key.every(({ missing }) => !missing);
}

function isThere(into: BackfillTable): string {
  const [first] = into.key;
  return first && mayBeThere(into) ? `${ref(into, first)} IS NOT NULL` : 'false';
}
