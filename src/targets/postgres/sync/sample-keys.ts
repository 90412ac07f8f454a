import type { Session } from '../../target.ts';
import { keyColumns, keyOf } from '../backfill/find-key.ts';
import { isAmong, type KeyRange, keyOrder } from '../backfill/key-range.ts';
import { withSavepoint } from '../backfill/savepoint.ts';
import { Params, parenthesised } from '../backfill/sql.ts';
import type { BackfillTable, Key } from '../backfill/table.ts';
import { sqlState } from '../errors.ts';

/** Pages that are read, about; with a hundred rows each, say, the youngest of them are young. */
const PAGES = 200;
const WRONG_OBJECT_TYPE = '42809';
const UNDEFINED_COLUMN = '42703';

export type Sample = {
  where: string | undefined;
  /** Rows in these ranges are left out. */
  except: readonly KeyRange[];
  /** Rows of each kind, at most. */
  rows: number;
};

/**
 * Keys of rows that meet the condition: some of random pages, those of them that were written last, and the highest ones.
 * Reads a bounded number of rows, however large the table is.
 */
export async function sampleKeys(session: Session, table: BackfillTable, sample: Sample): Promise<Key[]> {
  const keys = [
    ...(await samplePages(session, table, sample)),
    ...(await highestKeys(session, table, sample)),
  ];
  return [...new Map(keys.map((key) => [JSON.stringify(key), key])).values()];
}

async function samplePages(session: Session, table: BackfillTable, sample: Sample): Promise<Key[]> {
  const percent = await shareOfPages(session, table);
  const params = new Params();
  const pages = `${table.qualifiedName} TABLESAMPLE SYSTEM (${params.add(percent)}::float4)`;
  const conditions = conditionsOf(table, sample, params);
  const limit = params.add(sample.rows);
  // An age beyond 2³¹ transactions comes out negative; it is old as well.
  const text = `WITH pool AS MATERIALIZED (
      SELECT ${keyColumns(table)}, age(${table.alias}.xmin)::bigint & 4294967295 AS cutover_age
        FROM ${pages} WHERE ${conditions}
    )
    (SELECT * FROM pool ORDER BY cutover_age LIMIT ${limit})
    UNION ALL
    (SELECT * FROM pool ORDER BY random() LIMIT ${limit})`;
  try {
    const { rows } = await withSavepoint(session, () => session.query(text, params.values));
    return rows.map((row) => keyOf(table, row));
  } catch (error) {
    // A view has neither pages nor row versions.
    if ([WRONG_OBJECT_TYPE, UNDEFINED_COLUMN].includes(sqlState(error) ?? '')) return [];
    throw error;
  }
}

async function highestKeys(session: Session, table: BackfillTable, sample: Sample): Promise<Key[]> {
  const params = new Params();
  // Chosen before they are judged: where few rows qualify, there would be no end of looking for them.
  const { rows } = await session.query(
    `SELECT ${keyColumns(table)}
       FROM (SELECT * FROM ${table.qualifiedName}
              ORDER BY ${keyOrder(table, 'DESC')} LIMIT ${params.add(sample.rows)}) AS ${table.alias}
      WHERE ${conditionsOf(table, sample, params)}`,
    params.values,
  );
  return rows.map((row) => keyOf(table, row));
}

function conditionsOf(table: BackfillTable, { where, except }: Sample, params: Params): string {
  const conditions = except.map((range) => `NOT (${isAmong(table, range, params)})`);
  if (where !== undefined) conditions.push(parenthesised(where));
  return conditions.length > 0 ? conditions.join(' AND ') : 'true';
}

/** The share of the table's pages that is read, in percent. */
async function shareOfPages(session: Session, { qualifiedName }: BackfillTable): Promise<number> {
  const { rows } = await session.query<{ pages: number | null }>(
    `SELECT sum(pg_relation_size(oid) / current_setting('block_size')::int)::float8 AS pages FROM pg_class
      WHERE oid = to_regclass($1) OR oid IN (SELECT relid FROM pg_partition_tree(to_regclass($1)) WHERE isleaf)`,
    [qualifiedName],
  );
  return Math.min(100, (100 * PAGES) / Math.max(rows[0]?.pages ?? 0, 1));
}
