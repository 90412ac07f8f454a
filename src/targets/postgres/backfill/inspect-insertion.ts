import type { Session } from '../../target.ts';

/** What a table says about rows that are to be inserted into it. */
export type InsertionState = {
  /** A unique index, over every row and checked at once, has just the columns that identify a row. */
  identifies: boolean;
  /** Columns that identify a row and may be NULL. */
  nullable: string[];
  /** Columns that need a value, have no default and get none. */
  required: string[];
  /** Row-level security decides which rows the role gets to see. */
  seesByPolicy: boolean;
  mayRead: boolean;
  mayDelete: boolean;
  /** Columns among those written that the role may not insert, or not update. */
  notInsertable: string[];
  notUpdatable: string[];
};

/** @param columns names of columns that there are. */
export async function readInsertionState(
  session: Session,
  qualifiedName: string,
  columns: { identity: readonly string[]; written: readonly string[] },
): Promise<InsertionState> {
  const { rows } = await session.query<InsertionState>(
    `SELECT ${IDENTIFIES} AS identifies,
            ARRAY(SELECT a.attname::text FROM pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attname = ANY ($2::text[]) AND NOT a.attnotnull) AS nullable,
            -- A trigger may give the others what they need.
            CASE WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND (t.tgtype & ${BEFORE_EACH_INSERT}) = ${BEFORE_EACH_INSERT})
                 THEN '{}'
                 ELSE ARRAY(SELECT a.attname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
                               AND NOT a.atthasdef AND a.attidentity = '' AND t.typdefault IS NULL
                               AND a.attname <> ALL ($3::text[])) END AS required,
            row_security_active(c.oid) AS "seesByPolicy",
            has_table_privilege(c.oid, 'SELECT') AS "mayRead",
            has_table_privilege(c.oid, 'DELETE') AS "mayDelete",
            ARRAY(SELECT name FROM unnest($3::text[]) AS name
                   WHERE NOT has_column_privilege(c.oid, name, 'INSERT')) AS "notInsertable",
            ARRAY(SELECT name FROM unnest($3::text[]) AS name
                   WHERE NOT has_column_privilege(c.oid, name, 'UPDATE')) AS "notUpdatable"
       FROM pg_class c WHERE c.oid = to_regclass($1)`,
    [qualifiedName, columns.identity, columns.written],
  );
  const state = rows[0];
  if (!state) throw new Error(`the table ${qualifiedName} was dropped meanwhile`);
  return state;
}

/** Does a unique index say that there is at most one row for these columns, none of which may be NULL? */
export async function isIdentifiedBy(
  session: Session,
  qualifiedName: string,
  identity: readonly string[],
): Promise<boolean> {
  const { identifies, nullable } = await readInsertionState(session, qualifiedName, {
    identity,
    written: [],
  });
  return identifies && nullable.length === 0;
}

/** May the role lock rows of the table against being deleted? To update one column is enough. */
export async function mayLock(session: Session, qualifiedName: string): Promise<boolean> {
  const { rows } = await session.query<{ may: boolean }>(
    `SELECT has_any_column_privilege(to_regclass($1)::oid, 'UPDATE') AS may`,
    [qualifiedName],
  );
  return rows[0]?.may === true;
}

/** Bits of pg_trigger.tgtype: for each row, before, on insert. */
const BEFORE_EACH_INSERT = 1 | 2 | 4;

/** What ON CONFLICT needs. */
const IDENTIFIES = `EXISTS (
  SELECT FROM pg_index i
   WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
     AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = cardinality($2::text[])
     AND NOT EXISTS (
       SELECT FROM generate_series(0, i.indnkeyatts - 1) AS position
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[position]
        WHERE a.attname <> ALL ($2::text[])))`;
