import type { InsertTransform } from '../../../domain/backfill-phase.ts';
import type { Session } from '../../target.ts';
import { isAmong, keyOrder, type Rows } from '../backfill/key-range.ts';
import { Params, parenthesised } from '../backfill/sql.ts';
import { asTextArray, type BackfillColumn, type BackfillTable, type Key, ref } from '../backfill/table.ts';
import { quoteIdentifier } from '../catalog.ts';

/**
 * The table of the copies with the columns that hold its rows' keys for a key, when a copy without a row can be told: each key
 * column is copied as it is to one of its type, and an index of the copies sorts them as their rows are sorted. Undefined when it cannot.
 */
export async function keyedLikeRows(
  session: Session,
  table: BackfillTable,
  into: BackfillTable,
  { values, identifiedBy }: InsertTransform,
): Promise<BackfillTable | undefined> {
  const key = table.key.map((column) => {
    const spellings = [column.name, quoteIdentifier(column.name)].flatMap((name) => [
      name,
      `${table.alias}.${name}`,
    ]);
    const copied = identifiedBy.find((name) => spellings.includes((values[name] ?? '').trim()));
    return copied === undefined ? undefined : into.columns.get(copied);
  });
  const columns = key.filter((column): column is BackfillColumn => column !== undefined);
  if (columns.length < table.key.length) return undefined;
  const { rows } = await session.query<{ sorted: boolean }>(
    `WITH pair AS (
       SELECT position, own.attnum AS own,
              own.atttypid = theirs.atttypid AND own.attcollation = theirs.attcollation AS alike
         FROM unnest($2::text[], $4::text[]) WITH ORDINALITY AS given(own, theirs, position)
         JOIN pg_attribute AS own ON own.attrelid = to_regclass($1) AND own.attname = given.own
         JOIN pg_attribute AS theirs ON theirs.attrelid = to_regclass($3) AND theirs.attname = given.theirs)
     SELECT (SELECT bool_and(alike) FROM pair) AND EXISTS (
              SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
               WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree'
                 AND NOT EXISTS (SELECT FROM pair WHERE i.indkey[position - 1] IS DISTINCT FROM own)) AS sorted`,
    [
      into.qualifiedName,
      columns.map(({ name }) => name),
      table.qualifiedName,
      table.key.map(({ name }) => name),
    ],
  );
  return rows[0]?.sorted ? { ...into, key: columns } : undefined;
}

/**
 * Keys of copies in the range for which there is no row that meets the condition. The range is given for the rows as well, so
 * that no join can scan the whole table.
 */
export async function listSurplus(
  session: Session,
  table: BackfillTable,
  copies: BackfillTable,
  { where, range }: { where: string | undefined; range: Rows },
): Promise<Key[]> {
  const params = new Params();
  const same = table.key.map((column, i) => `${ref(table, column)} = cutover_copy.k${i}`).join(' AND ');
  const keys = copies.key.map((column, i) => `${ref(copies, column)} AS k${i}`).join(', ');
  const { rows } = await session.query<{ key: Key }>(
    `SELECT cutover_copy.key
       FROM (SELECT ${asTextArray(copies, copies.key)} AS key, ${keys}
               FROM ${copies.qualifiedName} WHERE ${isAmong(copies, range, params)}) AS cutover_copy
      WHERE NOT EXISTS (SELECT FROM ${table.qualifiedName}
                         WHERE ${same} AND ${isAmong(table, range, params)}${where === undefined ? '' : ` AND ${parenthesised(where)}`})`,
    params.values,
  );
  return rows.map(({ key }) => key);
}

/** The highest key of a copy beyond this one; undefined when there is none. */
export async function findKeyBeyond(
  session: Session,
  copies: BackfillTable,
  after: Key | undefined,
): Promise<Key | undefined> {
  const params = new Params();
  const beyond = after === undefined ? 'true' : `NOT (${isAmong(copies, { upTo: after }, params)})`;
  const { rows } = await session.query<{ key: Key }>(
    `SELECT ${asTextArray(copies, copies.key)} AS key FROM ${copies.qualifiedName} WHERE ${beyond}
      ORDER BY ${keyOrder(copies, 'DESC')} LIMIT 1`,
    params.values,
  );
  return rows[0]?.key;
}

/** Adds a range behind the others, for copies beyond the last row. */
export async function appendRange(
  session: Session,
  owner: string,
  runId: string,
  { after, upTo }: { after: Key | undefined; upTo: Key },
): Promise<void> {
  await session.query(
    `INSERT INTO cutover.range (backfill, number, run_id, after, up_to)
     SELECT $1, coalesce(max(number) + 1, 0), $2, $3::text[], $4::text[] FROM cutover.range WHERE backfill = $1`,
    [owner, runId, after ?? null, upTo],
  );
}
