import type { Session } from '../../target.ts';
import { isAmong, type KeyRange, keyOrder } from './key-range.ts';
import { Params, parenthesised } from './sql.ts';
import { type BackfillColumn, type BackfillTable, type Key, ref } from './table.ts';

/** Longest text of a batch, in bytes; some of them are held at a time, and what they are parsed to is larger. */
const MOST_BYTES = 64 * 2 ** 20;

/** Types whose text holds nothing that JSON would escape. */
const PLAIN_TYPES = new Set([
  'bigint',
  'numeric',
  'real',
  'double precision',
  'uuid',
  'date',
  'time without time zone',
  'timestamp without time zone',
  'timestamp with time zone',
]);

export type ReadBatch = {
  columns: readonly BackfillColumn[];
  where: string | undefined;
  range: KeyRange;
  /** At most so many rows, the first ones. */
  limit?: number | undefined;
  /** However long the text becomes: there is no shorter range to be read instead. */
  unbounded?: boolean | undefined;
};

export type BatchText = {
  text: string;
  /** Of the rows in it. */
  count: number;
};

/** Between the rows of a batch's text. JSON holds no control character but white space, and this is none. */
const ROW_SEPARATOR = '\x1e';

/**
 * Reads rows as one text, for which the protocol and the driver take less than half of what they take for single rows:
 * {@link rowsOf} takes it apart. Nothing is locked; the version tells later whether a row is still the same.
 * @returns undefined when the text is too long to hold, unless it is wanted at any length.
 */
export async function readBatch(
  session: Session,
  table: BackfillTable,
  { columns, where, range, limit, unbounded }: ReadBatch,
): Promise<BatchText | undefined> {
  const params = new Params();
  const items = [
    ...table.key.map((column) => keyItem(table, column)),
    `'"' || ${table.alias}.xmin::text || '"'`,
    ...columns.map((column) => item(table, column)),
  ];
  const fits = unbounded ? 'true' : `octet_length(cutover_text) <= ${MOST_BYTES}`;
  const { rows } = await session.query<{ text: string | null; count: number }>(
    `SELECT CASE WHEN ${fits} THEN cutover_text END AS text, cutover_count::int AS count
       FROM (SELECT string_agg(cutover_row, '${ROW_SEPARATOR}') AS cutover_text, count(*) AS cutover_count
               FROM (SELECT '[' || ${items.join(` || ',' || `)} || ']' AS cutover_row
                       FROM ${table.qualifiedName}
                      WHERE ${isAmong(table, range, params)}${where === undefined ? '' : ` AND ${parenthesised(where)}`}
                      ORDER BY ${keyOrder(table)}
                      ${limit === undefined ? '' : `LIMIT ${params.add(limit)}`}) AS cutover_rows) AS cutover_batch`,
    params.values,
  );
  const [{ text, count } = { text: null, count: 0 }] = rows;
  if (count === 0) return { text: '', count };
  return text === null ? undefined : { text, count };
}

/**
 * The rows of a batch's text, one after the other, each an array in JSON: the values of the key, the row's version, and the
 * columns that were asked for, {@link decodeCell} of which is what a transform sees. Parsed all at once they would live
 * long enough to keep the garbage collector busier than everything else.
 */
export function rowsOf(text: string): string[] {
  return text === '' ? [] : text.split(ROW_SEPARATOR);
}

/** The key of the last row of a batch's text, which must not be empty. */
export function lastKeyIn(table: BackfillTable, text: string): Key {
  const row: unknown[] = JSON.parse(text.slice(text.lastIndexOf(ROW_SEPARATOR) + 1));
  return row.slice(0, table.key.length).map(String);
}

/** Keys are texts, whatever their type. */
function keyItem(table: BackfillTable, column: BackfillColumn): string {
  const text = `${ref(table, column)}::text`;
  return column.kind === 'integer' ? `'"' || ${text} || '"'` : asJsonString(column, text);
}

function item(table: BackfillTable, column: BackfillColumn): string {
  const text = `${ref(table, column)}::text`;
  const isJson = column.kind === 'json' || column.kind === 'integer' || column.kind === 'boolean';
  const value = isJson ? text : asJsonString(column, text);
  return column.nullable ? `coalesce(${value}, 'null')` : value;
}

function asJsonString({ castType }: BackfillColumn, text: string): string {
  return PLAIN_TYPES.has(castType) ? `'"' || ${text} || '"'` : `to_json(${text})::text`;
}
