import type { Session } from '../../target.ts';
import { quoteIdentifier } from '../catalog.ts';
import { type JournalShape, journalName } from './journal.ts';
import { isAmong, keyEquals } from './key-range.ts';
import { Params } from './sql.ts';
import { type BackfillColumn, type BackfillTable, digest, type Key } from './table.ts';
import { type Taking, takenRows, takeRows } from './take-rows.ts';

export type Restored = {
  /** Rows of the journal that were looked at. */
  taken: number;
  /** Key of the last of them, in the order in which rows are taken. */
  last: Key | undefined;
  /** Of those, the rows that were left alone. */
  left: Key[];
};

type ToRestore = JournalShape & { backfill: string; references: readonly string[] };

/**
 * Gives rows their old values back, or deletes them where there were none, and takes them out of the journal. A row that is
 * gone, or no longer as the batch left it in what it has written, is left alone and stays in the journal; so is a row to
 * delete that has changed in any way, or that others would go with.
 */
export async function restoreRows(session: Session, shape: ToRestore, which: Taking): Promise<Restored> {
  if (shape.references.length === 0) return restore(session, shape, which);
  const keys = 'keys' in which ? which.keys : await takeRows(session, shape, which);
  // From now on nobody can refer to the rows any more, and what refers to them already the next statement sees.
  await lockForDelete(session, shape.table, keys);
  return restore(session, shape, { keys });
}

async function restore(session: Session, shape: ToRestore, which: Taking): Promise<Restored> {
  const { table, written, others, backfill } = shape;
  const params = new Params();
  const isSame = `${keyEquals(table, (i) => `cutover_k${i}`)} AND ${digest(table, written)} = cutover_after`;
  const items = [
    ...written.map((_, i) => `journal.b${i} AS cutover_b${i}`),
    'journal.after AS cutover_after',
    ...(others ? ['journal.rest AS cutover_rest'] : []),
    // Locked, the row stays where it is until it is removed.
    'journal.ctid AS cutover_place',
  ];
  const { rows } = await session.query<Restored & { last: Key | null }>(
    `WITH cutover_taken AS MATERIALIZED (
       ${takenRows(table, backfill, which, items, params)}
     ), cutover_restored AS (
       UPDATE ${table.qualifiedName} SET ${assignments(written)}
         FROM cutover_taken
        WHERE ${isSame} ${others ? 'AND cutover_rest IS NULL' : ''}
       RETURNING cutover_place, cutover_name
     )${others ? deletion(shape, others, isSame) : ''}, cutover_done AS (
       SELECT * FROM cutover_restored ${others ? 'UNION ALL SELECT * FROM cutover_deleted' : ''}
     ), cutover_removed AS (
       DELETE FROM ${journalName(backfill)}
        WHERE ctid = ANY (ARRAY (SELECT cutover_place FROM cutover_done))
       RETURNING 1
     ), cutover_counts AS (
       SELECT (SELECT count(*) FROM cutover_taken) AS taken, (SELECT count(*) FROM cutover_removed) AS removed
     )
     SELECT taken::float8 AS taken,
            (SELECT to_json(cutover_name) FROM cutover_taken ORDER BY cutover_number DESC LIMIT 1) AS last,
            CASE WHEN taken = removed THEN '[]'::json ELSE (
              SELECT json_agg(name) FROM (
                SELECT cutover_name FROM cutover_taken EXCEPT SELECT cutover_name FROM cutover_done
              ) AS cutover_left(name)
            ) END AS left
       FROM cutover_counts`,
    params.values,
  );
  const { taken = 0, last, left = [] } = rows[0] ?? {};
  return { taken, last: last ?? undefined, left };
}

/** A further WITH item for the rows that were not there before. */
function deletion(
  { table, references }: ToRestore,
  others: readonly BackfillColumn[],
  isSame: string,
): string {
  const unreferenced = references.map((reference) => `AND NOT EXISTS (${reference})`);
  return `, cutover_deleted AS (
       DELETE FROM ${table.qualifiedName} USING cutover_taken
        WHERE ${isSame} AND ${digest(table, others)} = cutover_rest ${unreferenced.join(' ')}
       RETURNING cutover_place, cutover_name
     )`;
}

async function lockForDelete(session: Session, table: BackfillTable, keys: readonly Key[]): Promise<void> {
  const params = new Params();
  await session.query(
    `SELECT FROM ${table.qualifiedName} WHERE ${isAmong(table, { keys }, params)} FOR UPDATE OF ${table.alias}`,
    params.values,
  );
}

function assignments(written: readonly BackfillColumn[]): string {
  return written
    .map((column, i) => `${quoteIdentifier(column.name)} = cutover_b${i}::${column.castType}`)
    .join(', ');
}
