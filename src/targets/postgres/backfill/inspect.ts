import type { Session } from '../../target.ts';

export type ServerState = {
  inRecovery: boolean;
  readOnlyByDefault: boolean;
  mayCreateSchema: boolean;
  /** Cutover's schema is there, and the role may create tables in it. */
  ownSchema: boolean;
};

/** Whether the server takes what a backfill writes. */
export async function readServerState(session: Session): Promise<ServerState> {
  const { rows } = await session.query<ServerState>(
    `SELECT pg_is_in_recovery() AS "inRecovery",
            current_setting('default_transaction_read_only')::boolean AS "readOnlyByDefault",
            has_database_privilege(current_database(), 'CREATE') AS "mayCreateSchema",
            coalesce(has_schema_privilege(to_regnamespace('cutover')::oid, 'CREATE'), false) AS "ownSchema"`,
  );
  const state = rows[0];
  if (!state) throw new Error('the server did not say in which state it is');
  return state;
}

/** Whether a unique index, over every row and checked at once, has no columns but these. */
export async function hasUniqueIndex(
  session: Session,
  qualifiedName: string,
  columns: readonly string[],
): Promise<boolean> {
  const { rows } = await session.query<{ found: boolean }>(
    `SELECT EXISTS (
       SELECT FROM pg_index i
        WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indimmediate
          AND i.indpred IS NULL AND i.indexprs IS NULL
          AND NOT EXISTS (
            SELECT FROM generate_series(0, i.indnkeyatts - 1) AS position
              JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[position]
             WHERE a.attname <> ALL ($2::text[]))) AS found`,
    [qualifiedName, columns],
  );
  return rows[0]?.found === true;
}

export type Privileges = {
  mayRead: boolean;
  /** Row-level security decides which rows the role gets to see. */
  seesByPolicy: boolean;
  readOnlyColumns: string[];
};

/** Whether the role may read the table, all of its rows, and which of the columns it may not update. */
export async function readPrivileges(
  session: Session,
  qualifiedName: string,
  written: readonly string[],
): Promise<Privileges> {
  const { rows } = await session.query<Privileges>(
    `SELECT row_security_active(to_regclass($1)::oid) AS "seesByPolicy",
            has_table_privilege(to_regclass($1)::oid, 'SELECT') AS "mayRead",
            ARRAY(SELECT name FROM unnest($2::text[]) AS name
                   WHERE NOT has_column_privilege(to_regclass($1)::oid, name, 'UPDATE')) AS "readOnlyColumns"`,
    [qualifiedName, written],
  );
  return rows[0] ?? { mayRead: false, seesByPolicy: false, readOnlyColumns: [] };
}
