import type { Session } from '../../target.ts';
import { quoteIdentifier } from '../catalog.ts';
import { keyColumns, keyOf } from './find-key.ts';
import {
  conflictClause,
  expressions,
  fromRows,
  givenIdentity,
  givenNames,
  givenValues,
  type Insertion,
  isIdentified,
  lockingClause,
  updatedColumns,
  writtenNames,
} from './insertion.ts';
import {
  insertedItems,
  type Journal,
  type JournalShape,
  journalItems,
  journalling,
  journallingInserted,
} from './journal.ts';
import { keyOrder, type Rows } from './key-range.ts';
import { Params } from './sql.ts';
import { asStored, type BackfillTable, type Key, ref } from './table.ts';

export type InsertRange = {
  where: string | undefined;
  range: Rows;
  journal: Journal | undefined;
  /** Copies of these rows may be there already. */
  conflicts: boolean;
};

/** `found` rows were to be copied, `written` of their copies were inserted or updated. */
export type Inserted = { found: number; written: number };

/**
 * Copies the rows that meet the condition. Fewer are `written` than `found` where copies were there and are left alone, or
 * when a trigger, a policy or a rule suppresses writes.
 * @throws the server's unique_violation when a copy is there and none was expected.
 */
export async function insertRange(
  session: Session,
  table: BackfillTable,
  insertion: Insertion,
  insert: InsertRange,
): Promise<Inserted> {
  const { journal, conflicts } = insert;
  if (!conflicts && !insertion.into.mayRefuseWrites && journal?.keep !== 'keys') {
    const written = await insertNew(session, table, insertion, insert);
    return { found: written, written };
  }
  if (journal?.keep !== 'rows' || updatedColumns(insertion).length === 0) {
    return insertAndCompare(session, table, insertion, insert);
  }
  const upserted = await upsertApart(session, table, insertion, insert);
  // A copy that somebody else has inserted between the two is there for the second time.
  return upserted.written < upserted.found ? upsertApart(session, table, insertion, insert) : upserted;
}

/** Which of an upsert's rows were there before, and what they were, is only known when they are updated apart. */
async function upsertApart(
  session: Session,
  table: BackfillTable,
  insertion: Insertion,
  insert: InsertRange,
): Promise<Inserted> {
  const updated = await updateExisting(session, table, insertion, insert);
  const rest: Insertion = { ...insertion, onConflict: 'nothing' };
  const { found, written } = await insertAndCompare(session, table, rest, insert);
  return { found, written: updated + written };
}

/** Asking for each row whether its copy is there costs a third of the speed, so this does not. */
async function insertNew(
  session: Session,
  table: BackfillTable,
  insertion: Insertion,
  { where, range, journal }: InsertRange,
): Promise<number> {
  const { into, locksRows } = insertion;
  const params = new Params();
  const insert = `INSERT INTO ${into.qualifiedName} (${writtenNames(insertion)})
       SELECT ${expressions(insertion)} ${fromRows(table, range, where, params)}
       ${locksRows ? lockingClause(table, insertion) : ''}`;
  if (!journal) return (await session.query(insert, params.values)).rowCount;
  const shape = journalShape(insertion);
  const { rows } = await session.query<{ written: number }>(
    `WITH cutover_changed AS (
       ${insert}
       RETURNING ${insertedItems(shape, journal)}
     )${journallingInserted(shape, journal)}
     SELECT count(*)::float8 AS written FROM cutover_changed`,
    params.values,
  );
  return rows[0]?.written ?? 0;
}

/** The rows go in by the order of their keys: of several with the same copy it is the first that makes it. */
async function insertAndCompare(
  session: Session,
  table: BackfillTable,
  insertion: Insertion,
  { where, range, journal }: InsertRange,
): Promise<Inserted> {
  const { into } = insertion;
  const params = new Params();
  const keys = table.key.map((column, i) => `${ref(table, column)} AS cutover_k${i}`).join(', ');
  const shape = journalShape(insertion);
  const identity = into.key.map((column, i) => `${ref(into, column)} AS cutover_i${i}`).join(', ');
  const keysOnly = journal?.keep === 'keys';
  const { rows } = await session.query<Inserted>(
    `WITH cutover_given AS MATERIALIZED (
       SELECT ${keys}, ${givenValues(insertion)} ${fromRows(table, range, where, params)}
       ORDER BY ${keyOrder(table)} ${lockingClause(table, insertion)}
     ), cutover_changed AS (
       INSERT INTO ${into.qualifiedName} (${writtenNames(insertion)})
       SELECT ${givenNames(insertion).join(', ')} FROM cutover_given
       ${conflictClause(insertion)}
       RETURNING ${keysOnly ? identity : insertedItems(shape, journal)}
     )${keysOnly ? journallingKeys(table, insertion, journal) : journallingInserted(shape, journal)}
     SELECT (SELECT count(*) FROM cutover_given)::float8 AS found,
            (SELECT count(*) FROM cutover_changed)::float8 AS written`,
    params.values,
  );
  return rows[0] ?? { found: 0, written: 0 };
}

/** Keys of the rows whose copies were written: a statement of the plan must not undo copies that were there before. */
function journallingKeys(table: BackfillTable, insertion: Insertion, journal: Journal): string {
  const keys = table.key.map((column, i) => `${asStored(column, `cutover_k${i}`)} AS k${i}`);
  const same = givenIdentity(insertion).map((given, i) => `${given} = cutover_i${i}`);
  const names = table.key.map((_, i) => `k${i}`).join(', ');
  return `, cutover_journalled AS (
    INSERT INTO ${journal.name} (${names})
    SELECT ${keys.join(', ')} FROM cutover_given JOIN cutover_changed ON ${same.join(' AND ')}
    ON CONFLICT (${names}) DO NOTHING
  )`;
}

/** Gives the copies that are there the rows' values, and journals what they were. */
async function updateExisting(
  session: Session,
  table: BackfillTable,
  insertion: Insertion,
  { where, range, journal }: InsertRange,
): Promise<number> {
  const { into, values } = insertion;
  const params = new Params();
  const columns = values.map(({ column }) => column);
  const keys = into.key.map((column, i) => `${ref(into, column)} AS cutover_k${i}`);
  const before = columns.map((column, i) => `${ref(into, column)} AS cutover_b${i}`);
  const sameKey = into.key.map((column, i) => `${ref(into, column)} = cutover_k${i}`).join(' AND ');
  const assignments = updatedColumns(insertion).map(
    (column) => `${quoteIdentifier(column.name)} = cutover_v${columns.indexOf(column)}`,
  );
  const { rows } = await session.query<{ updated: number }>(
    `WITH cutover_given AS MATERIALIZED (
       SELECT ${givenValues(insertion)} ${fromRows(table, range, where, params)}
       ORDER BY ${keyOrder(table)} ${lockingClause(table, insertion)}
     ), cutover_found AS MATERIALIZED (
       SELECT ${[...keys, ...before, ...givenNames(insertion)].join(', ')}
         FROM cutover_given JOIN ${into.qualifiedName} ON ${isIdentified(insertion)}
          FOR NO KEY UPDATE OF ${into.alias}
     ), cutover_changed AS (
       UPDATE ${into.qualifiedName} SET ${assignments.join(', ')} FROM cutover_found WHERE ${sameKey}
       RETURNING ${journalItems(into, columns, journal, (_, i) => `cutover_b${i}`)}
     )${journalling(into, columns, journal)}
     SELECT count(*)::float8 AS updated FROM cutover_changed`,
    params.values,
  );
  return rows[0]?.updated ?? 0;
}

function journalShape({ into, values, others }: Insertion): JournalShape {
  return { table: into, written: values.map(({ column }) => column), others };
}

/** How many of the rows that meet the condition have no copy. */
export async function countWithoutCopy(
  session: Session,
  table: BackfillTable,
  insertion: Insertion,
  { where, range }: Pick<InsertRange, 'where' | 'range'>,
): Promise<number> {
  const params = new Params();
  const { rows } = await session.query<{ missing: number }>(
    `SELECT count(*)::float8 AS missing
       FROM (SELECT ${givenValues(insertion)} ${fromRows(table, range, where, params)}) AS cutover_given
      WHERE NOT EXISTS (SELECT FROM ${insertion.into.qualifiedName} WHERE ${isIdentified(insertion)})`,
    params.values,
  );
  return rows[0]?.missing ?? 0;
}

/** Keys of the rows that meet the condition, in order; computes what their copies are identified by, which may fail. */
export async function listIdentified(
  session: Session,
  table: BackfillTable,
  insertion: Insertion,
  { where, range }: Pick<InsertRange, 'where' | 'range'>,
): Promise<Key[]> {
  const params = new Params();
  const { rows } = await session.query(
    `SELECT ${keyColumns(table)}, ${givenValues(identityOf(insertion))} ${fromRows(table, range, where, params)}
     ORDER BY ${keyOrder(table)}`,
    params.values,
  );
  return rows.map((row) => keyOf(table, row));
}

/** Those of the keys whose rows would have the copy of a row with a lower key. */
export async function listDuplicates(
  session: Session,
  table: BackfillTable,
  insertion: Insertion,
  keys: readonly Key[],
): Promise<Key[]> {
  const params = new Params();
  const { rows } = await session.query(
    `SELECT ${table.key.map((_, i) => `k${i}`).join(', ')}
       FROM (SELECT k.*, row_number() OVER (PARTITION BY ${givenIdentity(insertion).join(', ')} ORDER BY position) AS nth
               FROM (SELECT ${keyColumns(table)}, row_number() OVER (ORDER BY ${keyOrder(table)}) AS position,
                            ${givenValues(insertion)}
                       ${fromRows(table, { keys }, undefined, params)}) AS k) AS numbered
      WHERE nth > 1 ORDER BY position`,
    params.values,
  );
  return rows.map((row) => keyOf(table, row));
}

function identityOf(insertion: Insertion): Insertion {
  const { into, values } = insertion;
  return {
    ...insertion,
    values: values.filter(({ column }) => into.key.some(({ name }) => name === column.name)),
  };
}
