import type { Session } from '../../target.ts';
import { type JournalShape, journalName, keyNames } from './journal.ts';
import { keyEquals, keysAsRows } from './key-range.ts';
import { Params } from './sql.ts';
import { digest, type Key, ref } from './table.ts';
import { isAsked, TO_RESTORE, takenRows } from './take-rows.ts';

type InJournal = JournalShape & { backfill: string };

/** Rows that undo has looked at: it tries them again when the others are done, or leaves them as they are. */
export type SetAside = 'retry' | 'kept';

/**
 * Takes those of the rows that are journalled, each with what undo has made of it before.
 * @throws the server's error when a key is none of the table's types.
 */
export async function takeJournalled(
  session: Session,
  { table, backfill }: InJournal,
  keys: readonly Key[],
): Promise<{ key: Key; setAside: SetAside | null }[]> {
  const params = new Params();
  const items = ['journal.set_aside AS cutover_set_aside'];
  const { rows } = await session.query<{ key: Key; setAside: SetAside | null }>(
    `WITH cutover_taken AS MATERIALIZED (${takenRows(table, backfill, { keys }, items, params)})
     SELECT to_json(cutover_name) AS key, cutover_set_aside AS "setAside" FROM cutover_taken`,
    params.values,
  );
  return rows;
}

/** What there is of journalled rows; `same` are still as their batch left them. */
export async function lookAtRows(
  session: Session,
  { table, written, others, backfill }: InJournal,
  keys: readonly Key[],
): Promise<{ key: Key; found: 'gone' | 'changed' | 'same' }[]> {
  const params = new Params();
  const sameRest = others ? ` AND (journal.rest IS NULL OR ${digest(table, others)} = journal.rest)` : '';
  const isGone = table.key.map((column) => `${ref(table, column)} IS NULL`).join(' AND ');
  const { rows } = await session.query<{ key: Key; found: 'gone' | 'changed' | 'same' }>(
    `SELECT json_build_array(${keyNames(table).map((name) => `asked.${name}`)}) AS key,
            CASE WHEN ${isGone} THEN 'gone'
                 WHEN ${digest(table, written)} = journal.after${sameRest} THEN 'same'
                 ELSE 'changed' END AS found
       FROM ${keysAsRows(table, keys, 'asked', params)}
       JOIN ${journalName(backfill)} AS journal ON ${isAsked(table)}
       LEFT JOIN ${table.qualifiedName} ON ${keyEquals(table, (i) => `asked.k${i}`)}`,
    params.values,
  );
  return rows;
}

/** Notes what undo has made of rows that it could not put back. */
export async function setAside(
  session: Session,
  { table, backfill }: InJournal,
  keys: readonly Key[],
  as: SetAside,
): Promise<void> {
  if (keys.length === 0) return;
  const params = new Params();
  await session.query(
    `UPDATE ${journalName(backfill)} AS journal SET set_aside = ${params.add(as)}
       FROM ${keysAsRows(table, keys, 'asked', params)}
      WHERE ${isAsked(table)}`,
    params.values,
  );
}

/** Takes rows out of the journal that were undone by a statement of the plan. */
export async function removeJournalled(
  session: Session,
  { table, backfill }: InJournal,
  keys: readonly Key[],
): Promise<void> {
  if (keys.length === 0) return;
  const params = new Params();
  await session.query(
    `DELETE FROM ${journalName(backfill)} AS journal USING ${keysAsRows(table, keys, 'asked', params)}
      WHERE ${isAsked(table)}`,
    params.values,
  );
}

/** Is there a row that undo has not looked at yet, be it that somebody has just taken it? */
export async function hasUnseen(session: Session, backfill: string): Promise<boolean> {
  const { rows } = await session.query<{ unseen: boolean }>(
    `SELECT EXISTS (SELECT FROM ${journalName(backfill)} WHERE set_aside IS NULL) AS unseen`,
  );
  return rows[0]?.unseen === true;
}

/** How many rows there are to restore: exactly, unless there are more than `most`, which is the answer then. */
export async function countToRestore(session: Session, backfill: string, most: number): Promise<number> {
  const { rows } = await session.query<{ rows: number }>(
    `SELECT count(*)::float8 AS rows
       FROM (SELECT FROM ${journalName(backfill)} WHERE ${TO_RESTORE} LIMIT $1) AS rows`,
    [most],
  );
  return rows[0]?.rows ?? 0;
}
