import type { Session } from '../../target.ts';
import { quoteIdentifier } from '../catalog.ts';
import { type Journal, journalItems, journalling } from './journal.ts';
import { isAmong, type Rows } from './key-range.ts';
import { Params, parenthesised } from './sql.ts';
import { type BackfillColumn, type BackfillTable, ref } from './table.ts';

export type UpdateRange = {
  /** SQL expressions by the column they are written to. */
  set: Record<string, string>;
  written: readonly BackfillColumn[];
  where: string | undefined;
  range: Rows;
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
  if (table.mayRefuseWrites) return updateAndCompare(session, table, update);
  // Nothing can suppress a write, so the rows that are found need not be compared with those that were written.
  if (!update.journal) return all(await updatePlainly(session, table, update));
  if (table.returnsOld) return all(await updateReturningOld(session, table, update));
  return updateAndCompare(session, table, update);
}

function all(changed: number): { found: number; changed: number } {
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
      WHERE ${isAmong(table, range, params)}${condition(where)}`,
    params.values,
  );
  return rowCount;
}

/** What the server returns as old is what the update overwrote, whatever the application committed just before. */
async function updateReturningOld(
  session: Session,
  table: BackfillTable,
  { set, written, where, range, journal }: UpdateRange,
): Promise<number> {
  const params = new Params();
  const items = journalItems(table, written, journal, ({ name }) => `cutover_old.${quoteIdentifier(name)}`);
  const { rows } = await session.query<{ changed: number }>(
    `WITH cutover_changed AS (
       UPDATE ${table.qualifiedName} SET ${assignments(set)}
        WHERE ${isAmong(table, range, params)}${condition(where)}
       RETURNING WITH (OLD AS cutover_old) ${items}
     )${journalling(table, written, journal)}
     SELECT count(*)::float8 AS changed FROM cutover_changed`,
    params.values,
  );
  return rows[0]?.changed ?? 0;
}

function condition(where: string | undefined): string {
  return where === undefined ? '' : ` AND ${parenthesised(where)}`;
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
  const rowsInRange = isAmong(table, range, params);
  const keys = table.key.map((column, i) => `${ref(table, column)} AS cutover_k${i}`).join(', ');
  const before = written.map((column, i) => `, ${ref(table, column)} AS cutover_b${i}`).join('');
  const sameKey = table.key.map((column, i) => `${ref(table, column)} = cutover_k${i}`).join(' AND ');
  const { rows } = await session.query<{ found: number; changed: number }>(
    `WITH cutover_found AS MATERIALIZED (
       SELECT ${keys}${journal?.keep === 'rows' ? before : ''}
         FROM ${table.qualifiedName}
        WHERE ${rowsInRange}${condition(where)}
          FOR NO KEY UPDATE OF ${table.alias}
     ), cutover_changed AS (
       UPDATE ${table.qualifiedName} SET ${assignments(set)}
         FROM cutover_found
        WHERE ${sameKey} AND ${rowsInRange}
       RETURNING ${journalItems(table, written, journal, (_, i) => `cutover_b${i}`)}
     )${journalling(table, written, journal)}
     SELECT (SELECT count(*) FROM cutover_found)::float8 AS found,
            (SELECT count(*) FROM cutover_changed)::float8 AS changed`,
    params.values,
  );
  return rows[0] ?? { found: 0, changed: 0 };
}
