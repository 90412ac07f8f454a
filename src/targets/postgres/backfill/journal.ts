import type { Session } from '../../target.ts';
import { createRunTable } from '../own-schema.ts';
import { asStored, type BackfillColumn, type BackfillTable, digest, ref } from './table.ts';

/** Where and what a batch journals: old values, or just the keys for plans that undo by SQL of their own. */
export type Journal = {
  /** Named by {@link journalName}. */
  name: string;
  keep: 'rows' | 'keys';
  /** Rows may be journalled already; where they are not, it is faster to say so. */
  conflicts: boolean;
};

/**
 * Each backfill has a journal of its own, so that its keys and old values have their own types: half of what one table for
 * all would cost went into turning them into text and comparing that in its index. It also goes at once, by DROP TABLE.
 * @param backfill the checkpoint's id.
 */
export function journalName(backfill: string): string {
  return `cutover.journal_${backfill}`;
}

/** What a journal keeps of the rows of a table. */
export type JournalShape = {
  table: BackfillTable;
  /** Columns whose old values it keeps. */
  written: readonly BackfillColumn[];
  /** For a table that gets new rows: its other columns, which the database fills in. */
  others?: readonly BackfillColumn[] | undefined;
};

/** Creates the journal of a backfill that begins; call it in the transaction that pins the checkpoint. */
export async function createJournal(
  session: Session,
  runId: string,
  { name, keep }: Journal,
  { table, written, others }: JournalShape,
): Promise<void> {
  const keys = table.key.map((column, i) => `k${i} ${stored(column)} NOT NULL`);
  const values = [
    ...written.map((column, i) => `b${i} ${stored(column)}`),
    // Of the other columns as the database filled them in; NULL where there was such a row before.
    ...(others ? ['rest bytea'] : []),
    // Of the columns as the batch left them.
    'after bytea NOT NULL',
  ];
  const columns = [
    ...keys,
    ...(keep === 'rows' ? values : []),
    // NULL until undo has looked at the row and could not put it back: not yet, or not at all.
    `set_aside text CHECK (set_aside IN ('retry', 'kept'))`,
    `PRIMARY KEY (${keyNames(table).join(', ')})`,
  ];
  await createRunTable(session, runId, name, columns);
}

/** Collations of the plan's own must not be needed either. */
function stored({ storedType, collatable }: BackfillColumn): string {
  return collatable || storedType === 'text' ? `${storedType} COLLATE "C"` : storedType;
}

/** The journal's columns for the key: `k0`, `k1`, …. */
export function keyNames({ key }: BackfillTable): string[] {
  return key.map((_, i) => `k${i}`);
}

/**
 * What the RETURNING of an update gives to its journal.
 * @param before SQL for the old value of the i-th column that is written.
 */
export function journalItems(
  table: BackfillTable,
  written: readonly BackfillColumn[],
  journal: Journal | undefined,
  before: (column: BackfillColumn, i: number) => string,
): string {
  const values = written.map((column, i) => `${asStored(column, before(column, i))} AS b${i}`);
  return items(table, written, journal, values);
}

/** What the RETURNING of an insert gives to its journal. */
export function insertedItems(
  { table, written, others = [] }: JournalShape,
  journal: Journal | undefined,
): string {
  return items(table, written, journal, [`${digest(table, others)} AS rest`]);
}

function items(
  table: BackfillTable,
  written: readonly BackfillColumn[],
  journal: Journal | undefined,
  values: readonly string[],
): string {
  if (!journal) return '1';
  const keys = table.key.map((column, i) => `${asStored(column, ref(table, column))} AS k${i}`);
  if (journal.keep === 'keys') return keys.join(', ');
  return [...keys, ...values, `${digest(table, written)} AS after`].join(', ');
}

/**
 * A further WITH item that journals `cutover_changed`, which has {@link journalItems}. A row that is migrated once more
 * keeps what it was before the first time.
 */
export function journalling(
  table: BackfillTable,
  written: readonly BackfillColumn[],
  journal: Journal | undefined,
): string {
  if (!journal) return '';
  const rows = journal.keep === 'rows';
  const names = rows ? [...written.map((_, i) => `b${i}`), 'after'] : [];
  return insertIntoJournal(table, journal, names, rows ? ['after = excluded.after'] : []);
}

/** The same for `cutover_changed` with {@link insertedItems}. */
export function journallingInserted({ table }: JournalShape, journal: Journal | undefined): string {
  if (!journal) return '';
  return insertIntoJournal(
    table,
    journal,
    ['rest', 'after'],
    [
      'after = excluded.after',
      // One that was there before is still to be restored, though it was deleted meanwhile.
      'rest = CASE WHEN journal.rest IS NOT NULL THEN excluded.rest END',
    ],
  );
}

/** @param assignments for a row that is journalled already. */
function insertIntoJournal(
  table: BackfillTable,
  { name, conflicts }: Journal,
  names: readonly string[],
  assignments: readonly string[],
): string {
  const keys = keyNames(table).join(', ');
  const columns = [...keyNames(table), ...names].join(', ');
  const action = assignments.length === 0 ? 'DO NOTHING' : `DO UPDATE SET ${assignments.join(', ')}`;
  return `, cutover_journalled AS (
    INSERT INTO ${name} AS journal (${columns}) SELECT ${columns} FROM cutover_changed
    ${conflicts ? `ON CONFLICT (${keys}) ${action}` : ''}
  )`;
}
