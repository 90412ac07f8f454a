import pg from 'pg';
import type { Column, Session, TableShape } from '../target.ts';

/** A name as SQL needs it when it may hold capitals, blanks or a keyword. */
export function quoteIdentifier(name: string): string {
  return pg.escapeIdentifier(name);
}

export function quoteLiteral(text: string): string {
  return pg.escapeLiteral(text);
}

/**
 * What the catalog says about a table, partitioned table, foreign table or view; undefined when there is none of that name.
 * @param name as SQL spells it: with or without its schema, quoted or not; without one it is looked up in the search_path.
 */
export async function describeTable(session: Session, name: string): Promise<TableShape | undefined> {
  const { rows } = await session.query<{ oid: string; qualified: string; estimate: number | null }>(
    FIND_TABLE,
    [name],
  );
  const table = rows[0];
  if (!table) return undefined;
  const columns = await session.query<Column>(LIST_COLUMNS, [table.oid]);
  const key = await session.query<{ name: string }>(FIND_KEY, [table.oid]);
  return {
    qualifiedName: table.qualified,
    columns: columns.rows,
    key: key.rows.map((column) => column.name),
    estimatedRows: table.estimate,
  };
}

/**
 * A partitioned table keeps no number of its own before version 14, so its partitions' are summed. A table that was never
 * analysed says -1; up to version 13 it says 0 and cannot be told from an empty one.
 */
const FIND_TABLE = `
  SELECT t.oid::text AS oid,
         format('%I.%I', n.nspname, t.relname) AS qualified,
         (SELECT CASE WHEN bool_and(leaf.reltuples >= 0 AND (leaf.reltuples > 0 OR leaf.relpages > 0
                                    OR current_setting('server_version_num')::int >= 140000))
                      THEN sum(leaf.reltuples)::float8 END
            FROM pg_class leaf
           WHERE leaf.oid IN (SELECT t.oid WHERE t.relkind <> 'p'
                              UNION SELECT relid FROM pg_partition_tree(t.oid) WHERE isleaf AND t.relkind = 'p')
         ) AS estimate
    FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
   WHERE t.oid = to_regclass($1) AND t.relkind IN ('r', 'p', 'f', 'v', 'm')`;

/** A column that nobody may write counts as generated, and so does an identity that refuses given values. */
const LIST_COLUMNS = `
  SELECT attname::text AS name,
         format_type(atttypid, atttypmod) AS type,
         NOT attnotnull AS nullable,
         attgenerated <> '' OR attidentity = 'a' AS generated
    FROM pg_attribute
   WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped
   ORDER BY attnum`;

/** The primary key, else the oldest unique index that names every row: whole, valid, immediate, over NOT NULL columns. */
const FIND_KEY = `
  WITH key_index AS (
    SELECT i.indexrelid, i.indrelid, i.indkey, i.indnkeyatts
      FROM pg_index i
     WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
       AND (i.indisprimary OR i.indimmediate AND NOT EXISTS (
             SELECT FROM generate_series(0, i.indnkeyatts - 1) AS position
               JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[position]
              WHERE NOT a.attnotnull))
     ORDER BY i.indisprimary DESC, i.indexrelid
     LIMIT 1)
  SELECT a.attname::text AS name
    FROM key_index k
    CROSS JOIN generate_series(0, k.indnkeyatts - 1) AS position
    JOIN pg_attribute a ON a.attrelid = k.indrelid AND a.attnum = k.indkey[position]
   ORDER BY position`;
