import type { Session } from '../../target.ts';
import { estimateRows } from './estimate-rows.ts';
import type { BackfillTable } from './table.ts';

/** How much of it there is, now. A partitioned table counts with all its parts. */
export type TableSize = {
  /** With its schema, quoted where SQL needs it. */
  name: string;
  /** Of the table proper, without indexes and long values that are kept apart. */
  pages: number;
  /** Estimated by the share of dead and live rows that its pages had when they were last analysed. */
  rows: number;
};

/** @param name qualified and quoted. */
export async function tableSize(session: Session, name: string): Promise<TableSize> {
  const { rows } = await session.query<TableSize>(
    `SELECT (SELECT format('%I.%I', relnamespace::regnamespace::name, relname) FROM pg_class
              WHERE oid = to_regclass($1)) AS name,
            coalesce(sum(pages), 0)::float8 AS pages,
            coalesce(sum(CASE WHEN reltuples >= 0 AND relpages > 0 THEN reltuples / relpages * pages
                              ELSE estimate END), 0)::float8 AS rows
       FROM (
         SELECT c.reltuples, c.relpages, pg_relation_size(c.oid) / current_setting('block_size')::float8 AS pages,
                -- Never analysed: as if each row took 100 bytes.
                pg_relation_size(c.oid) / 100 AS estimate
           FROM pg_class c
          WHERE c.oid IN (SELECT to_regclass($1)::oid UNION SELECT relid FROM pg_partition_tree(to_regclass($1)))
            AND c.relkind IN ('r', 'm')
       ) AS parts`,
    [name],
  );
  return rows[0] ?? { name, pages: 0, rows: 0 };
}

/** The same for the table of a backfill, whose rows are counted where it is small. */
export async function backfillSize(session: Session, table: BackfillTable): Promise<TableSize> {
  const size = await tableSize(session, table.qualifiedName);
  return { ...size, rows: await estimateRows(session, table, undefined) };
}

/** Whether the one is the other, or a part of it. Names are qualified and quoted. */
export async function isPartOf(session: Session, part: string, whole: string): Promise<boolean> {
  const { rows } = await session.query<{ part: boolean }>(
    `SELECT to_regclass($1) = to_regclass($2)
            OR to_regclass($1) IN (SELECT relid FROM pg_partition_tree(to_regclass($2))) AS part`,
    [part, whole],
  );
  return rows[0]?.part === true;
}

/** Unique indexes over exactly these columns, in whatever order: their columns in the index's own order. */
export async function keyIndexes(
  session: Session,
  name: string,
  columns: readonly string[],
): Promise<string[][]> {
  const { rows } = await session.query<{ columns: string[] }>(
    `SELECT indexed.columns
       FROM pg_index i CROSS JOIN LATERAL (
         SELECT array_agg(a.attname::text ORDER BY position) AS columns
           FROM generate_series(0, i.indnkeyatts - 1) AS position
           JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[position]) AS indexed
      WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
        AND i.indexprs IS NULL AND indexed.columns @> $2::text[] AND indexed.columns <@ $2::text[]
      ORDER BY i.indexrelid`,
    [name, columns],
  );
  return rows.map((row) => row.columns);
}

/** A statement that makes an index over these columns; with a name, without which a schema phase refuses it. */
export async function createIndex(
  session: Session,
  name: string,
  columns: readonly string[],
  unique: boolean,
): Promise<string> {
  const { rows } = await session.query<{ statement: string }>(
    `SELECT format('CREATE %sINDEX CONCURRENTLY %I ON %s (%s)', $3::text,
                   left(relname || '_' || array_to_string($2::text[], '_'), 59) || '_idx',
                   format('%I.%I', relnamespace::regnamespace::name, relname),
                   (SELECT string_agg(quote_ident(given), ', ' ORDER BY position)
                      FROM unnest($2::text[]) WITH ORDINALITY AS columns (given, position))) AS statement
       FROM pg_class WHERE oid = to_regclass($1)`,
    [name, columns, unique ? 'UNIQUE ' : ''],
  );
  return rows[0]?.statement ?? '';
}
