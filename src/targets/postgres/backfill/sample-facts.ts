import type { Session } from '../../target.ts';
import { quoteIdentifier } from '../catalog.ts';
import { keyOrder } from './key-range.ts';
import { parenthesised } from './sql.ts';
import { type BackfillColumn, type BackfillTable, ref } from './table.ts';
import type { TableSize } from './table-size.ts';

/** What was measured on rows from all over a table. */
export type SampleFacts = {
  /** Rows that were read. */
  read: number;
  /** Of those, rows that meet the condition. */
  due: number;
  /** Of a row, with its header. */
  rowBytes: number;
  keyBytes: number;
  /** Of the columns that are written, as they are; 0 where they are not there yet. */
  oldBytes: number;
  /** Of the values that expressions give. */
  newBytes: number;
  /** How far the order of the keys is that of the rows on the pages, 0 to 1. */
  correlation: number;
  /** To read one row, with the condition and the expressions. */
  readMicros: number;
};

export type SampleUse = {
  where: string | undefined;
  /** SQL over the row that a batch computes, and the columns of the row's own table that it overwrites. */
  expressions: readonly string[];
  written: readonly BackfillColumn[];
};

const SAMPLED_ROWS = 10_000;

/**
 * Reads about ten thousand rows twice: for what they are like, and for how long that takes.
 * @throws the server's error when a condition or an expression fails on one of them.
 */
export async function sampleFacts(
  session: Session,
  table: BackfillTable,
  size: TableSize,
  { where, expressions, written }: SampleUse,
): Promise<SampleFacts> {
  const percent = Math.min(100, (100 * SAMPLED_ROWS) / Math.max(size.rows, 1));
  const from = sampled(table, percent);
  const due = where === undefined ? 'true' : `coalesce(${parenthesised(where)}, false)`;
  const old = written.filter(({ missing }) => !missing).map((column) => ref(table, column));
  const { rows } = await session.query<Omit<SampleFacts, 'readMicros'>>(
    `SELECT count(*)::float8 AS read, count(*) FILTER (WHERE due)::float8 AS due,
            coalesce(avg(row_bytes), 0)::float8 AS "rowBytes", coalesce(avg(key_bytes), 0)::float8 AS "keyBytes",
            coalesce(avg(old_bytes) FILTER (WHERE due), 0)::float8 AS "oldBytes",
            coalesce(avg(new_bytes), 0)::float8 AS "newBytes",
            coalesce(abs(corr(block, position)), 1)::float8 AS correlation
       FROM (SELECT cutover_bytes AS row_bytes, ${bytesOf(table.key.map((column) => ref(table, column)))} AS key_bytes,
                    ${bytesOf(old)} AS old_bytes, ${due} AS due,
                    CASE WHEN ${due} THEN ${bytesOf(expressions.map(parenthesised))} END AS new_bytes,
                    (cutover_place::text::point)[0] AS block, row_number() OVER (ORDER BY ${keyOrder(table)}) AS position
               FROM ${from}) AS measured`,
  );
  const facts = rows[0];
  if (!facts) throw new Error('a sample has no facts');
  const begun = performance.now();
  const computed = expressions.map(parenthesised).join(', ');
  await session.query(
    `SELECT count(ROW(${computed || ref(table, firstKey(table))})) FROM ${from} WHERE ${due}`,
  );
  const readMicros = ((performance.now() - begun) * 1_000) / Math.max(facts.read, 1);
  return { ...facts, readMicros };
}

function firstKey({ key, qualifiedName }: BackfillTable): BackfillColumn {
  const [column] = key;
  if (!column) throw new Error(`the table ${qualifiedName} has no key`);
  return column;
}

function bytesOf(values: readonly string[]): string {
  return values.length === 0
    ? '0'
    : values.map((value) => `coalesce(pg_column_size(${value}), 0)`).join(' + ');
}

/** Random pages as a FROM item, with a typed NULL for each column that does not exist yet. */
function sampled(table: BackfillTable, percent: number): string {
  const { alias, qualifiedName } = table;
  const missing = [...table.columns.values()]
    .filter((column) => column.missing)
    .map((column) => `, NULL::${column.type} AS ${quoteIdentifier(column.name)}`);
  return `(SELECT ${alias}.*, ${alias}.ctid AS cutover_place, pg_column_size(${alias}.*) AS cutover_bytes${missing.join('')}
             FROM ${qualifiedName} AS ${alias} TABLESAMPLE SYSTEM (${percent.toFixed(6)}) REPEATABLE (1)) AS ${alias}`;
}
