import type { Session } from '../../target.ts';
import { quoteIdentifier } from '../catalog.ts';

export type TriggerSite = {
  kind: 'table' | 'other';
  /** Other tables inherit from it; they are not partitions. */
  hasChildren: boolean;
  mayCreateTriggers: boolean;
};

/** What decides whether triggers can be put on the table; undefined when there is none of that name. */
export async function readTriggerSite(session: Session, table: string): Promise<TriggerSite | undefined> {
  const { rows } = await session.query<TriggerSite>(
    `SELECT CASE WHEN relkind IN ('r', 'p') THEN 'table' ELSE 'other' END AS kind,
            relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = pg_class.oid) AS "hasChildren",
            has_table_privilege(oid, 'TRIGGER') AS "mayCreateTriggers"
       FROM pg_class WHERE oid = to_regclass($1)`,
    [table],
  );
  return rows[0];
}

export async function mayDelete(session: Session, table: string): Promise<boolean> {
  const { rows } = await session.query<{ may: boolean }>(
    `SELECT has_table_privilege(to_regclass($1)::oid, 'DELETE') AS may`,
    [table],
  );
  return rows[0]?.may === true;
}

/** Names of the columns that the database computes from others; before a row is written they are empty. */
export async function listComputedColumns(session: Session, table: string): Promise<string[]> {
  const { rows } = await session.query<{ name: string }>(
    `SELECT attname::text AS name FROM pg_attribute
      WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated <> '' ORDER BY attnum`,
    [table],
  );
  return rows.map(({ name }) => name);
}

/**
 * Conditions under which NOT NULL and CHECK constraints refuse a row because of these columns. Foreign keys and unique
 * constraints are not among them: no condition over the row alone decides about those.
 */
export async function listViolations(
  session: Session,
  table: string,
  columns: readonly string[],
): Promise<string[]> {
  const { rows } = await session.query<{ name: string | null; expression: string | null }>(
    `SELECT attname::text AS name, NULL AS expression FROM pg_attribute
      WHERE attrelid = to_regclass($1) AND attname = ANY ($2) AND attnotnull
      UNION ALL
     SELECT NULL, pg_get_expr(conbin, conrelid) FROM pg_constraint
      WHERE conrelid = to_regclass($1) AND contype = 'c'
        AND EXISTS (SELECT FROM pg_attribute
                     WHERE attrelid = conrelid AND attnum = ANY (conkey) AND attname = ANY ($2))`,
    [table, columns],
  );
  return rows.map(({ name, expression }) =>
    name === null ? `(${expression}) IS FALSE` : `${quoteIdentifier(name)} IS NULL`,
  );
}

/** The schemas in which the session looks up names, as SET takes them. Those of temporary tables are left out. */
export async function readSearchPath(session: Session): Promise<string> {
  const { rows } = await session.query<{ path: string }>(
    `SELECT coalesce(string_agg(quote_ident(name), ', ' ORDER BY position), 'pg_catalog') AS path
       FROM unnest(current_schemas(false)) WITH ORDINALITY AS schemas(name, position)
      WHERE name NOT LIKE 'pg\\_temp%'`,
  );
  return rows[0]?.path ?? 'pg_catalog';
}
