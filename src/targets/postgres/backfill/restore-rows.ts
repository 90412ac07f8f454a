import type { Session } from '../../target.ts';
import { quoteIdentifier } from '../catalog.ts';
import { keyEquals, keysAsRows } from './key-range.ts';
import { Params } from './sql.ts';
import { type BackfillColumn, type BackfillTable, digest, type Key } from './table.ts';

/** The next journalled keys beyond `after` that undo has not seen yet; in the journal's own order. */
export async function listJournalled(
  session: Session,
  backfill: string,
  after: Key | undefined,
  limit: number,
): Promise<Key[]> {
  const { rows } = await session.query<{ key: Key }>(
    `SELECT key FROM cutover.journal
      WHERE backfill = $1 AND NOT kept AND ($2::text[] IS NULL OR key > $2::text[] COLLATE "C")
      ORDER BY key LIMIT $3`,
    [backfill, after ?? null, limit],
  );
  return rows.map((row) => row.key);
}

/** Which of the keys are journalled; `kept` are those that undo has left alone once. */
export async function selectJournalled(
  session: Session,
  table: BackfillTable,
  backfill: string,
  keys: readonly Key[],
): Promise<{ key: Key; kept: boolean }[]> {
  const params = new Params();
  const { rows } = await session.query<{ key: Key; kept: boolean }>(
    `SELECT journal.key, journal.kept FROM ${keysAsRows(table, keys, 'asked', params)}
       JOIN cutover.journal ON backfill = ${params.add(backfill)} AND journal.key = ${askedKey(table)}`,
    params.values,
  );
  return rows;
}

/**
 * Gives the rows their old values back and takes them out of the journal. A row that is gone, or whose written columns are
 * no longer as the batch left them, is left alone; returned are the keys of those that were restored.
 */
export async function restoreRows(
  session: Session,
  table: BackfillTable,
  written: readonly BackfillColumn[],
  backfill: string,
  keys: readonly Key[],
): Promise<Key[]> {
  const params = new Params();
  const assignments = written.map(
    (column, i) => `${quoteIdentifier(column.name)} = cutover_before[${i + 1}]::${column.castType}`,
  );
  // Compared by the keys as given: those of the journal carry its collation, which a column's own would conflict with.
  const keysAsGiven = table.key.map((_, i) => `asked.k${i} AS cutover_k${i}`).join(', ');
  const { rows } = await session.query<{ key: Key }>(
    `WITH cutover_asked AS MATERIALIZED (
       SELECT ${keysAsGiven}, journal.key AS cutover_key, journal.before AS cutover_before, journal.after AS cutover_after
         FROM ${keysAsRows(table, keys, 'asked', params)}
         JOIN cutover.journal ON journal.backfill = ${params.add(backfill)} AND journal.key = ${askedKey(table)}
     ), cutover_restored AS (
       UPDATE ${table.qualifiedName} SET ${assignments.join(', ')}
         FROM cutover_asked
        WHERE ${keyEquals(table, (i) => `cutover_k${i}`)} AND ${digest(table, written)} = cutover_after
       RETURNING cutover_key
     )
     DELETE FROM cutover.journal USING cutover_restored
      WHERE journal.backfill = ${params.add(backfill)} AND journal.key = cutover_key
     RETURNING journal.key`,
    params.values,
  );
  return rows.map((row) => row.key);
}

/** Which of the keys have a row in the table. */
export async function selectPresent(
  session: Session,
  table: BackfillTable,
  keys: readonly Key[],
): Promise<Key[]> {
  const params = new Params();
  const { rows } = await session.query<{ key: Key }>(
    `SELECT ${askedKey(table)} AS key FROM ${keysAsRows(table, keys, 'asked', params)}
       JOIN ${table.qualifiedName} ON ${keyEquals(table, (i) => `asked.k${i}`)}`,
    params.values,
  );
  return rows.map((row) => row.key);
}

/** Marks rows that undo has looked at and left alone. */
export async function markKept(
  session: Session,
  table: BackfillTable,
  backfill: string,
  keys: readonly Key[],
): Promise<void> {
  const params = new Params();
  await session.query(
    `UPDATE cutover.journal SET kept = true FROM ${keysAsRows(table, keys, 'asked', params)}
      WHERE backfill = ${params.add(backfill)} AND journal.key = ${askedKey(table)}`,
    params.values,
  );
}

/** Takes rows out of the journal that were undone by a statement of the plan. */
export async function removeJournalled(
  session: Session,
  table: BackfillTable,
  backfill: string,
  keys: readonly Key[],
): Promise<void> {
  const params = new Params();
  await session.query(
    `DELETE FROM cutover.journal USING ${keysAsRows(table, keys, 'asked', params)}
      WHERE backfill = ${params.add(backfill)} AND journal.key = ${askedKey(table)}`,
    params.values,
  );
}

function askedKey(table: BackfillTable): string {
  return `ARRAY[${table.key.map((_, i) => `asked.k${i}`).join(', ')}] COLLATE "C"`;
}
