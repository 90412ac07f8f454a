import type { Session } from '../../target.ts';
import { quoteIdentifier } from '../catalog.ts';
import { type Journal, journalling, postImage, preImage } from './journal.ts';
import { inRange, type KeyRange } from './key-range.ts';
import { Params, parenthesised } from './sql.ts';
import { asTextArray, type BackfillColumn, type BackfillTable, ref } from './table.ts';

export type UpdateRange = {
  /** SQL expressions by the column they are written to. */
  set: Record<string, string>;
  written: readonly BackfillColumn[];
  where: string | undefined;
  range: KeyRange;
  journal: Journal | undefined;
};

/**
 * Writes the expressions to the range's rows that meet the condition. `found` are the rows that were to be written; fewer
 * are `changed` when a trigger or policy suppresses writes, or when a row changed its key meanwhile.
 */
export async function updateRange(
  session: Session,
  table: BackfillTable,
  update: UpdateRange,
): Promise<{ found: number; changed: number }> {
  if (update.journal || table.mayRefuseWrites) return updateAndCompare(session, table, update);
  // Nothing is kept of the rows and nothing can suppress a write, so their keys need not be collected and compared.
  const changed = await updatePlainly(session, table, update);
  return { found: changed, changed };
}

async function updatePlainly(
  session: Session,
  table: BackfillTable,
  { set, where, range }: UpdateRange,
): Promise<number> {
  const params = new Params();
  const { rowCount } = await session.query(
    `UPDATE ${table.qualifiedName} SET ${assignments(set)}
      WHERE ${inRange(table, range, params)}${where === undefined ? '' : ` AND ${parenthesised(where)}`}`,
    params.values,
  );
  return rowCount;
}

function assignments(set: Record<string, string>): string {
  return Object.entries(set)
    .map(([column, expression]) => `${quoteIdentifier(column)} = ${parenthesised(expression)}`)
    .join(', ');
}

/**
 * The rows are locked by the first item, so what is journalled is what the update then overwrites, whatever the
 * application commits in between. The range is repeated for the update, so that its join can never scan the whole table.
 */
async function updateAndCompare(
  session: Session,
  table: BackfillTable,
  { set, written, where, range, journal }: UpdateRange,
): Promise<{ found: number; changed: number }> {
  const params = new Params();
  const rowsInRange = inRange(table, range, params);
  const keys = table.key.map((column, i) => `${ref(table, column)} AS cutover_k${i}`).join(', ');
  const sameKey = table.key.map((column, i) => `${ref(table, column)} = cutover_k${i}`).join(' AND ');
  const { rows } = await session.query<{ found: number; changed: number }>(
    `WITH cutover_found AS MATERIALIZED (
       SELECT ${keys}, ${preImage(table, written, journal)} AS cutover_before
         FROM ${table.qualifiedName}
        WHERE ${rowsInRange}${where === undefined ? '' : ` AND ${parenthesised(where)}`}
          FOR NO KEY UPDATE OF ${table.alias}
     ), cutover_changed AS (
       UPDATE ${table.qualifiedName} SET ${assignments(set)}
         FROM cutover_found
        WHERE ${sameKey} AND ${rowsInRange}
       RETURNING ${asTextArray(table, table.key)} AS key, cutover_before AS before,
                 ${postImage(table, written, journal)} AS after
     )${journalling(journal, params)}
     SELECT (SELECT count(*) FROM cutover_found)::float8 AS found,
            (SELECT count(*) FROM cutover_changed)::float8 AS changed`,
    params.values,
  );
  return rows[0] ?? { found: 0, changed: 0 };
}
