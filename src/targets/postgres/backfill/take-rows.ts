import type { Session } from '../../target.ts';
import { type JournalShape, journalName, keyNames } from './journal.ts';
import { keysAsRows } from './key-range.ts';
import { Params } from './sql.ts';
import type { BackfillTable, Key } from './table.ts';

/**
 * Which rows of a journal to take: those with these keys; or the next ones on the way down from a key, or from the highest,
 * that nobody else has taken, and that undo has not set aside yet, or only for later.
 */
export type Taking =
  | { keys: readonly Key[] }
  | {
      below: Key | undefined;
      limit: number;
      setAside?: 'retry' | undefined;
      /** Only looks at all that there are to restore: nothing is locked, and nobody's lock is minded. */
      look?: true;
    };

/** Condition for the rows of a journal that there are to restore. */
export const TO_RESTORE = `set_aside IS DISTINCT FROM 'kept'`;

/**
 * Takes rows of a journal until the transaction ends: whoever undoes rows at the same time passes them by.
 * @returns their keys: given ones as they are spelled, the next ones in descending order. What is not journalled is missing.
 */
export async function takeRows(
  session: Session,
  { table, backfill }: Pick<JournalShape, 'table'> & { backfill: string },
  which: Taking,
): Promise<Key[]> {
  const params = new Params();
  const { rows } = await session.query<{ name: Key }>(
    `WITH cutover_taken AS MATERIALIZED (${takenRows(table, backfill, which, [], params)})
     SELECT to_json(cutover_name) AS name FROM cutover_taken ORDER BY cutover_number`,
    params.values,
  );
  return rows.map(({ name }) => name);
}

/**
 * SELECT that takes rows of the journal, numbered in their order as `cutover_number`, with the key as `cutover_name`, a list of
 * texts, and as `cutover_k0`, `cutover_k1`, ….
 *
 * Downwards, because batches went upwards: what is undone in reverse order passes through states that there were before, so
 * that no unique constraint or trigger objects to what it once allowed.
 * @param items to select beside, of `journal`.
 */
export function takenRows(
  table: BackfillTable,
  backfill: string,
  which: Taking,
  items: readonly string[],
  params: Params,
): string {
  const names = keyNames(table);
  const rows =
    'keys' in which
      ? `SELECT ${[name('asked', names), ...keyItems(table, 'asked'), ...items].join(', ')}
           FROM ${keysAsRows(table, which.keys, 'asked', params)}
           JOIN ${journalName(backfill)} AS journal ON ${isAsked(table)}
            FOR UPDATE OF journal`
      : `SELECT ${[name('journal', names), ...keyItems(table, 'journal'), ...items].join(', ')}
           FROM ${journalName(backfill)} AS journal
          WHERE ${condition(which, params)}
                ${which.below ? `AND ${isBelow(table, which.below, params)}` : ''}
          ORDER BY ${names.map((key) => `journal.${key} DESC`).join(', ')}
          LIMIT ${params.add(which.limit)}
            ${which.look ? '' : 'FOR UPDATE SKIP LOCKED'}`;
  return `SELECT row_number() OVER () AS cutover_number, * FROM (${rows}) AS cutover_rows`;
}

function condition({ setAside, look }: Exclude<Taking, { keys: unknown }>, params: Params): string {
  if (look) return TO_RESTORE;
  return setAside ? `set_aside = ${params.add(setAside)}` : 'set_aside IS NULL';
}

/** `journal.k0 = asked.k0::type AND …`. */
export function isAsked(table: BackfillTable): string {
  return table.key.map(({ storedType }, i) => `journal.k${i} = asked.k${i}::${storedType}`).join(' AND ');
}

function name(from: string, names: readonly string[]): string {
  return `ARRAY[${names.map((key) => `${from}.${key}::text`).join(', ')}] AS cutover_name`;
}

/**
 * Select items `cutover_k0`, `cutover_k1`, …. The journal's own collation of its texts would conflict with that of a column that
 * they are compared with.
 */
export function keyItems(table: BackfillTable, from: 'journal' | 'asked'): string[] {
  return table.key.map(({ collatable, storedType }, i) => {
    const isText = from === 'journal' && (collatable || storedType === 'text');
    return `${from}.k${i}${isText ? ' COLLATE "default"' : ''} AS cutover_k${i}`;
  });
}

function isBelow(table: BackfillTable, key: Key, params: Params): string {
  const values = table.key.map(({ storedType }, i) => `${params.add(key[i])}::text::${storedType}`);
  return `(${keyNames(table).join(', ')}) < (${values.join(', ')})`;
}
