import type { Session } from '../../target.ts';
import { decode, type RowValue } from './decode.ts';
import { isAmong, type KeyRange, keyOrder } from './key-range.ts';
import { Params, parenthesised } from './sql.ts';
import { type BackfillColumn, type BackfillTable, type ColumnKind, type Key, ref } from './table.ts';

/** Longest text of a batch, in bytes; some of them are held at a time, and what they are parsed to is larger. */
const MOST_BYTES = 64 * 2 ** 20;

const BARE_KINDS = new Set<ColumnKind>(['json', 'integer', 'boolean']);
const BARE_TYPES = new Set([
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

/**
 * The rows of a batch, column by column: the key's columns, the rows' versions, then the columns that were asked for; each as
 * one text, for which the server, the protocol and the driver take less than half of what they take for single rows.
 */
export type BatchText = {
  /** {@link cellsOf} takes each apart. */
  columns: string[];
  /** Of the rows in it. */
  count: number;
};

/** Between the rows of a column's text. JSON holds no control character but white space, and this is none. */
const ROW_SEPARATOR = '\x1e';

/**
 * Reads rows column by column. Nothing is locked; the version tells later whether a row is still the same.
 * @returns undefined when the text is too long to hold, unless it is wanted at any length.
 */
export async function readBatch(
  session: Session,
  table: BackfillTable,
  { columns, where, range, limit, unbounded }: ReadBatch,
): Promise<BatchText | undefined> {
  const params = new Params();
  const cells = [
    ...table.key.map((column) => present(table, column)),
    `${table.alias}.xmin::text`,
    ...columns.map((column) => cell(table, column)),
  ];
  const texts = cells.map((_, i) => `cutover_t${i}`);
  // Together they may have more bytes than an integer counts.
  const length = texts.map((text) => `octet_length(${text})::bigint`).join(' + ');
  const given = texts.map((text) => (unbounded ? text : `CASE WHEN fits THEN ${text} END AS ${text}`));
  const { rows } = await session.query<{ count: number; fits: boolean } & Record<string, string>>(
    `SELECT count, fits, ${given.join(', ')}
       FROM (SELECT *, ${length} <= ${MOST_BYTES} AS fits
               FROM (SELECT count(*)::int AS count,
                            ${texts.map((text, i) => `string_agg(cutover_c${i}, '${ROW_SEPARATOR}') AS ${text}`).join(', ')}
                       FROM (SELECT ${cells.map((sql, i) => `${sql} AS cutover_c${i}`).join(', ')}
                               FROM ${table.qualifiedName}
                              WHERE ${isAmong(table, range, params)}${where === undefined ? '' : ` AND ${parenthesised(where)}`}
                              ORDER BY ${keyOrder(table)}
                              ${limit === undefined ? '' : `LIMIT ${params.add(limit)}`}) AS cutover_rows) AS cutover_texts) AS cutover_batch`,
    params.values,
  );
  const [read] = rows;
  if (!read || read.count === 0) return { columns: [], count: 0 };
  if (!read.fits && !unbounded) return undefined;
  return { columns: texts.map((text) => read[text] ?? ''), count: read.count };
}

/**
 * A column's cells, one for each row; {@link decoderOf} tells what they are. Parsed all at once they would live long enough to
 * keep the garbage collector busier than everything else.
 * @throws Error when the server gave another number of them: rows must not be mixed up.
 */
export function cellsOf({ columns, count }: BatchText, column: number): string[] {
  const cells = count === 0 ? [] : (columns[column] ?? '').split(ROW_SEPARATOR);
  if (cells.length !== count)
    throw new Error(`${count} rows were read with ${cells.length} cells of a column`);
  return cells;
}

/** Is there room for twice as many such rows? */
export function isShort({ columns }: BatchText): boolean {
  return columns.reduce((length, text) => length + text.length, 0) < MOST_BYTES / 4;
}

/** The key of the last row of a batch, which must not be empty. */
export function lastKeyIn(table: BackfillTable, { columns }: BatchText): Key {
  return table.key.map((column, i) => {
    const text = columns[i] ?? '';
    return keyDecoderOf(column)(text.slice(text.lastIndexOf(ROW_SEPARATOR) + 1));
  });
}

/** What turns a cell of the key into the text of its value. */
export function keyDecoderOf(column: BackfillColumn): (cell: string) => string {
  return isBare(column) ? (cell) => cell : (cell) => JSON.parse(cell) as string;
}

/** What turns a cell into the value that a transform sees. */
export function decoderOf(column: BackfillColumn): (cell: string) => RowValue {
  const textOf = keyDecoderOf(column);
  return (cell) => (cell === NULL_CELL ? null : decode(column, textOf(cell)));
}

const NULL_CELL = 'null';

/**
 * No value but NULL reads `null`, and JSON's own. A column that is NOT NULL may hold NULLs all the same, as long as that was
 * not validated.
 */
function cell(table: BackfillTable, column: BackfillColumn): string {
  return `coalesce(${present(table, column)}, '${NULL_CELL}')`;
}

/** The value's text, as a JSON string where it may hold anything. */
function present(table: BackfillTable, column: BackfillColumn): string {
  const text = `${ref(table, column)}::text`;
  return isBare(column) ? text : `to_json(${text})::text`;
}

/** Does the text of its values need no quotes to be told from NULL and from the next row? */
function isBare({ kind, castType }: BackfillColumn): boolean {
  return BARE_KINDS.has(kind) || BARE_TYPES.has(castType);
}
