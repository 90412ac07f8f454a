import type { Session } from '../../target.ts';
import { keyColumns, keyOf } from '../backfill/find-key.ts';
import { isAmong } from '../backfill/key-range.ts';
import { Params } from '../backfill/sql.ts';
import type { BackfillTable, Key } from '../backfill/table.ts';

/** Keys by what can be done about their rows at the moment. */
export type LockedRows = {
  /** Nobody else changes these rows until the transaction ends. */
  locked: Key[];
  /** Somebody else has these rows locked. */
  busy: Key[];
  /** No row has these keys. */
  gone: Key[];
};

/** Locks the rows with these keys as far as nobody else has; never waits. */
export async function lockRows(
  session: Session,
  table: BackfillTable,
  keys: readonly Key[],
): Promise<LockedRows> {
  const locked = await select(session, table, keys, `FOR NO KEY UPDATE OF ${table.alias} SKIP LOCKED`);
  const ids = new Set(locked.map(idOf));
  const rest = keys.filter((key) => !ids.has(idOf(key)));
  if (rest.length === 0) return { locked, busy: [], gone: [] };
  const present = new Set((await select(session, table, rest, '')).map(idOf));
  return {
    locked,
    busy: rest.filter((key) => present.has(idOf(key))),
    gone: rest.filter((key) => !present.has(idOf(key))),
  };
}

async function select(
  session: Session,
  table: BackfillTable,
  keys: readonly Key[],
  lock: string,
): Promise<Key[]> {
  const params = new Params();
  const { rows } = await session.query(
    `SELECT ${keyColumns(table)} FROM ${table.qualifiedName} WHERE ${isAmong(table, { keys }, params)} ${lock}`,
    params.values,
  );
  return rows.map((row) => keyOf(table, row));
}

function idOf(key: Key): string {
  return JSON.stringify(key);
}
