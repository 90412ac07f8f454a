import type { Params } from './sql.ts';
import { type BackfillTable, type Key, ref } from './table.ts';

/** Rows by key, up to and including `upTo`, from `from` on or beyond `after`; without either from the first row on. */
export type KeyRange = { after?: Key | undefined; from?: Key | undefined; upTo: Key };

/** Rows that a statement works on: all of a range, or just those with these keys. */
export type Rows = KeyRange | { keys: readonly Key[] };

/** The condition that a row is one of them. */
export function isAmong(table: BackfillTable, rows: Rows, params: Params): string {
  if ('keys' in rows) return hasKeyAmong(table, rows.keys, params);
  const conditions = [`${keyTuple(table)} <= ${keyValue(table, rows.upTo, params)}`];
  if (rows.after) conditions.unshift(`${keyTuple(table)} > ${keyValue(table, rows.after, params)}`);
  if (rows.from) conditions.unshift(`${keyTuple(table)} >= ${keyValue(table, rows.from, params)}`);
  return conditions.join(' AND ');
}

function hasKeyAmong(table: BackfillTable, keys: readonly Key[], params: Params): string {
  const [column, ...others] = table.key;
  if (column && others.length === 0) {
    const values = params.add(keys.map((key) => key[0]));
    return `${ref(table, column)} = ANY (${values}::text[]::${column.castType}[])`;
  }
  const typed = table.key.map(({ castType }, i) => `asked.k${i}::${castType}`).join(', ');
  return `${keyTuple(table)} IN (SELECT ${typed} FROM ${keysAsRows(table, keys, 'asked', params)})`;
}

/** `(k1, k2)`: compared as a whole, which an index over the key serves. */
function keyTuple(table: BackfillTable): string {
  return `(${table.key.map((column) => ref(table, column)).join(', ')})`;
}

function keyValue(table: BackfillTable, key: Key, params: Params): string {
  const values = table.key.map((column, i) => `${params.add(key[i])}::text::${column.castType}`);
  return `(${values.join(', ')})`;
}

/** The key's columns in order; with `DESC` for each when descending. */
export function keyOrder(table: BackfillTable, direction: 'ASC' | 'DESC' = 'ASC'): string {
  return table.key.map((column) => `${ref(table, column)} ${direction}`).join(', ');
}

/** Key values by column, as `unnest` takes them. */
export function keysByColumn(table: BackfillTable, keys: readonly Key[]): (string | undefined)[][] {
  return table.key.map((_, i) => keys.map((key) => key[i]));
}

/** `unnest($n::text[], …) AS name(k0, k1, …)`: the keys as rows. */
export function keysAsRows(table: BackfillTable, keys: readonly Key[], name: string, params: Params): string {
  const columns = keysByColumn(table, keys).map((values) => `${params.add(values)}::text[]`);
  return `unnest(${columns.join(', ')}) AS ${name}(${table.key.map((_, i) => `k${i}`).join(', ')})`;
}

/** `table.k1 = source(0)::type AND …`, where `source` gives the text of the key's i-th value. */
export function keyEquals(table: BackfillTable, source: (i: number) => string): string {
  return table.key
    .map((column, i) => `${ref(table, column)} = (${source(i)})::${column.castType}`)
    .join(' AND ');
}

/** From the first of the keys to the last, which come in order. @throws Error when there is none. */
export function spanOf(keys: readonly Key[]): KeyRange {
  const [from] = keys;
  const upTo = keys.at(-1);
  if (!from || !upTo) throw new Error('a range needs at least one key');
  return { from, upTo };
}
