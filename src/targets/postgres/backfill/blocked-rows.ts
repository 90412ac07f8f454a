import type { Session } from '../../target.ts';
import { type JournalShape, journalName, keyNames } from './journal.ts';
import { keyEquals, keysAsRows } from './key-range.ts';
import { Params } from './sql.ts';
import { asStored, type BackfillColumn, type BackfillTable, type Key, ref } from './table.ts';
import { isAsked } from './take-rows.ts';

/**
 * Which of the rows can't have their old values back, because a unique constraint gives them to another row: one that undo
 * does not mean to change, or that is itself such a row. Unlike the others, they are not freed by restoring all at once.
 * Unique indexes over expressions, or over part of the rows, are not looked at.
 */
export async function listBlocked(
  session: Session,
  shape: JournalShape & { backfill: string },
  keys: readonly Key[],
): Promise<Key[]> {
  const { table, written, backfill } = shape;
  const unique = await readUnique(session, table, written);
  if (unique.length === 0) return [];
  const params = new Params();
  const names = keyNames(table);
  const name = `ARRAY[${names.map((key) => `asked.${key}`).join(', ')}]`;
  const { rows } = await session.query<{ key: Key }>(
    `WITH RECURSIVE cutover_stuck AS MATERIALIZED (
       SELECT ${name} AS cutover_name, ${wanted(shape, unique).join(', ')}
         FROM ${keysAsRows(table, keys, 'asked', params)}
         JOIN ${journalName(backfill)} AS journal ON ${isAsked(table)}
         JOIN ${table.qualifiedName} ON ${keyEquals(table, (i) => `asked.k${i}`)}
     ), cutover_edges AS MATERIALIZED (
       ${unique.map((columns, u) => holders(table, columns, u)).join(' UNION ALL ')}
     ), cutover_waits AS MATERIALIZED (
       SELECT cutover_name, cutover_holder, EXISTS (
                SELECT FROM ${journalName(backfill)} AS journal
                 WHERE set_aside = 'retry' AND ${isHolder(table)}) AS cutover_free
         FROM cutover_edges
     ), cutover_blocked AS (
       SELECT cutover_name FROM cutover_waits WHERE NOT cutover_free
        UNION
       SELECT waits.cutover_name FROM cutover_waits AS waits
         JOIN cutover_blocked AS blocked ON waits.cutover_holder = blocked.cutover_name
     )
     SELECT to_json(cutover_name) AS key FROM cutover_blocked`,
    params.values,
  );
  return rows.map(({ key }) => key);
}

/** The columns of each unique index that has one which the backfill writes. */
async function readUnique(
  session: Session,
  table: BackfillTable,
  written: readonly BackfillColumn[],
): Promise<BackfillColumn[][]> {
  const { rows } = await session.query<{ columns: string[] }>(
    `SELECT array_agg(attname::text ORDER BY at) AS columns
       FROM pg_index
       CROSS JOIN LATERAL unnest(indkey[0:indnkeyatts - 1]) WITH ORDINALITY AS part(number, at)
       JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number
      WHERE indrelid = to_regclass($1) AND indisunique AND indpred IS NULL AND indexprs IS NULL
      GROUP BY indexrelid
     HAVING bool_or(attname = ANY ($2))`,
    [table.qualifiedName, written.map((column) => column.name)],
  );
  return rows.map(({ columns }) => columns.flatMap((column) => table.columns.get(column) ?? []));
}

/** What the row would have in the columns of each index, as `cutover_w0_0`, `cutover_w0_1`, …. */
function wanted({ table, written }: JournalShape, unique: readonly (readonly BackfillColumn[])[]): string[] {
  return unique.flatMap((columns, u) =>
    columns.map((column, c) => {
      const i = written.findIndex((other) => other.name === column.name);
      const value = i < 0 ? asStored(column, ref(table, column)) : `journal.b${i}`;
      return `${value}${column.collatable ? ' COLLATE "default"' : ''} AS cutover_w${u}_${c}`;
    }),
  );
}

/** Rows that have the wanted values at present. */
function holders(table: BackfillTable, columns: readonly BackfillColumn[], u: number): string {
  const holder = table.key.map((column) => `${ref(table, column)}::text`).join(', ');
  const same = columns.map((column, c) => `${ref(table, column)} = cutover_w${u}_${c}::${column.castType}`);
  return `SELECT cutover_name, ARRAY[${holder}] AS cutover_holder
            FROM cutover_stuck JOIN ${table.qualifiedName} ON ${same.join(' AND ')}
           WHERE cutover_name <> ARRAY[${holder}]`;
}

function isHolder(table: BackfillTable): string {
  return table.key
    .map(({ storedType }, i) => `journal.k${i} = cutover_holder[${i + 1}]::${storedType}`)
    .join(' AND ');
}
