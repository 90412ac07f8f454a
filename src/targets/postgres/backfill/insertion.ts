import type { InsertTransform } from '../../../domain/backfill-phase.ts';
import type { Session } from '../../target.ts';
import { quoteIdentifier } from '../catalog.ts';
import { checkedType } from './check-values.ts';
import { isIdentifiedBy } from './inspect-insertion.ts';
import { isAmong, type Rows } from './key-range.ts';
import { columnNamed, loadTable } from './load-table.ts';
import { type Params, parenthesised } from './sql.ts';
import { type BackfillColumn, type BackfillTable, ref } from './table.ts';

/** Rows for another table, as an `insert` transform describes them, looked up in the target. */
export type Insertion = {
  /** The other table; its key are the columns that identify its rows. */
  into: BackfillTable;
  /** Columns of `into` that get a value, and the SQL expression over the row that gives it. */
  values: readonly { column: BackfillColumn; expression: string }[];
  onConflict: InsertTransform['onConflict'];
  /** Columns of `into` that are left to the database: to defaults, sequences and triggers. */
  others: readonly BackfillColumn[];
  /**
   * Whether rows are locked also where none of their copies is there yet. It costs much, as it writes to the rows; without it
   * a row that is deleted while its batch runs may leave a copy behind.
   */
  locksRows: boolean;
};

/** Columns that are written, columns that are not, and whether rows are locked. */
type InsertionUse = { written: readonly string[]; others: readonly string[]; locksRows: boolean };

/**
 * Looks the other table up.
 * @param use columns in the order in which the journal keeps them.
 * @throws Error when the table or one of its columns is not there, or nothing keeps two rows from being the same: the table
 * may have been made after preflight.
 */
export async function loadInsertion(
  session: Session,
  transform: InsertTransform,
  use: InsertionUse,
): Promise<Insertion> {
  const into = await loadInto(session, transform);
  if (!(await isIdentifiedBy(session, into.qualifiedName, transform.identifiedBy))) {
    const columns = transform.identifiedBy.join(', ');
    throw new Error(
      `rows of ${into.qualifiedName} are not identified by (${columns}): that takes NOT NULL on each and a unique index with ` +
        'just these columns, without a condition and not deferrable; create it, then resume',
    );
  }
  return insertionOf(into, transform, use);
}

/** The table that the rows go to. @throws Error when there is none. */
export function loadInto(session: Session, { into, identifiedBy }: InsertTransform): Promise<BackfillTable> {
  return loadTable(session, { table: into, key: identifiedBy, columns: {} });
}

/** As {@link loadInsertion}, for a table that was already looked up. */
export function insertionOf(
  into: BackfillTable,
  { values, onConflict }: InsertTransform,
  { written, others, locksRows }: InsertionUse,
): Insertion {
  const column = (name: string) => columnNamed(into.columns, name, into.qualifiedName);
  return {
    into,
    onConflict,
    values: written.map((name) => ({ column: column(name), expression: values[name] ?? 'NULL' })),
    others: others.map(column),
    locksRows,
  };
}

/** Columns that the database fills in by itself and that may be changed later; generated ones say nothing of their own. */
export function columnsLeftOut(into: BackfillTable, written: readonly string[]): string[] {
  return [...into.columns.values()]
    .filter(({ name, generated }) => !generated && !written.includes(name))
    .map(({ name }) => name)
    .sort();
}

/** `"a", "b"`: the columns that are written. */
export function writtenNames({ values }: Insertion): string {
  return values.map(({ column }) => quoteIdentifier(column.name)).join(', ');
}

/** The expressions as they stand, for an INSERT that gives them the types of their columns. */
export function expressions({ values }: Insertion): string {
  return values.map(({ expression }) => parenthesised(expression)).join(', ');
}

/**
 * The expressions as select items `cutover_v0`, `cutover_v1`, …, with the types of their columns. Length and precision are
 * left to the assignment, which refuses what a cast would cut.
 */
export function givenValues({ values }: Insertion): string {
  return values
    .map(({ column, expression }, i) => `${parenthesised(expression)}::${column.castType} AS cutover_v${i}`)
    .join(', ');
}

/** `cutover_v0`, `cutover_v1`, …: the names of {@link givenValues}. */
export function givenNames({ values }: Insertion): string[] {
  return values.map((_, i) => `cutover_v${i}`);
}

/** Those of {@link givenNames} that identify a row of `into`, in the order of its key, rounded as they will be there. */
export function givenIdentity({ into, values }: Insertion): string[] {
  return into.key.map((key) => {
    const position = values.findIndex(({ column }) => column.name === key.name);
    return `cutover_v${position}::${checkedType(key)}`;
  });
}

/** `into.a = cutover_v0 AND …`: the row of `into` that the given values are for. */
export function isIdentified(insertion: Insertion): string {
  const { into } = insertion;
  const given = givenIdentity(insertion);
  return into.key.map((column, i) => `${ref(into, column)} = ${given[i]}`).join(' AND ');
}

/** Columns that a row which is there already gets anew; none where it is left alone. */
export function updatedColumns({ into, values, onConflict }: Insertion): BackfillColumn[] {
  if (onConflict === 'nothing') return [];
  return values.map(({ column }) => column).filter(({ name }) => !into.key.some((key) => key.name === name));
}

/** `ON CONFLICT (…) DO …`. */
export function conflictClause(insertion: Insertion): string {
  const identity = insertion.into.key.map(({ name }) => quoteIdentifier(name)).join(', ');
  const assignments = updatedColumns(insertion).map(
    ({ name }) => `${quoteIdentifier(name)} = excluded.${quoteIdentifier(name)}`,
  );
  const action = assignments.length === 0 ? 'DO NOTHING' : `DO UPDATE SET ${assignments.join(', ')}`;
  return `ON CONFLICT (${identity}) ${action}`;
}

/** `FROM … WHERE …` for the rows to copy. */
export function fromRows(
  table: BackfillTable,
  rows: Rows,
  where: string | undefined,
  params: Params,
): string {
  const condition = where === undefined ? '' : ` AND ${parenthesised(where)}`;
  return `FROM ${table.qualifiedName} WHERE ${isAmong(table, rows, params)}${condition}`;
}

/**
 * Lets nobody delete the rows until the transaction ends, so that no copy is made of one that goes at this moment; nor
 * change them, where a copy that is there already gets their values.
 */
export function lockingClause(table: BackfillTable, insertion: Insertion): string {
  return `FOR ${updatedColumns(insertion).length > 0 ? 'NO KEY UPDATE' : 'KEY SHARE'} OF ${table.alias}`;
}
