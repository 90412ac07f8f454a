import type { Session } from '../../target.ts';
import type { BackfillColumn, BackfillTable, ColumnKind } from './table.ts';

type ColumnRow = Omit<BackfillColumn, 'kind'> & { typname: string; typcategory: string };

const KINDS: Record<string, ColumnKind> = {
  json: 'json',
  jsonb: 'json',
  int2: 'integer',
  int4: 'integer',
  bool: 'boolean',
  timestamptz: 'timestamptz',
  timestamp: 'timestamp',
  bytea: 'bytea',
};

/**
 * The table's columns, followed by those that the plan says it will have.
 * @param later SQL types of columns that may not exist yet, by name; those that do exist are left out.
 * @throws the server's error when a type is unknown.
 */
export async function readColumns(
  session: Session,
  qualifiedName: string,
  later: Record<string, string>,
): Promise<BackfillColumn[]> {
  const { rows } = await session.query<ColumnRow>(READ_COLUMNS, [
    qualifiedName,
    Object.keys(later),
    Object.values(later),
  ]);
  return rows.map(({ typname, typcategory, ...column }) => ({
    ...column,
    kind: typcategory === 'A' ? 'array' : (KINDS[typname] ?? 'other'),
  }));
}

/** The last part of a qualified name, quoted. */
export async function readAlias(session: Session, qualifiedName: string): Promise<string> {
  const { rows } = await session.query<{ alias: string }>(
    'SELECT quote_ident(relname) AS alias FROM pg_class WHERE oid = to_regclass($1)',
    [qualifiedName],
  );
  const alias = rows[0]?.alias;
  if (alias === undefined) throw new Error(`the table ${qualifiedName} was dropped meanwhile`);
  return alias;
}

/**
 * May the table silently leave a row unwritten that an UPDATE finds? Triggers, policies and rules may; so may those of a
 * partition or of a table that inherits, which are not looked at one by one. And can RETURNING tell what a row was before?
 */
export async function readWriting(
  session: Session,
  qualifiedName: string,
): Promise<Pick<BackfillTable, 'mayRefuseWrites' | 'returnsOld'>> {
  const { rows } = await session.query<Pick<BackfillTable, 'mayRefuseWrites' | 'returnsOld'>>(
    `SELECT c.relkind <> 'r' OR c.relhassubclass OR c.relrowsecurity OR c.relhasrules OR EXISTS (
              SELECT FROM pg_trigger t
               WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND (t.tgtype & ${BEFORE_EACH_ROW}) = ${BEFORE_EACH_ROW}
                 -- Those of a sync leave no row unwritten.
                 AND t.tgfoid NOT IN (SELECT oid FROM pg_proc WHERE pronamespace = to_regnamespace('cutover'))
            ) AS "mayRefuseWrites",
            current_setting('server_version_num')::int >= 180000 AS "returnsOld"
       FROM pg_class c WHERE c.oid = to_regclass($1)`,
    [qualifiedName],
  );
  return rows[0] ?? { mayRefuseWrites: true, returnsOld: false };
}

/** Bits of pg_trigger.tgtype: for each row, and before it is written. */
const BEFORE_EACH_ROW = 1 | 2;
/** The one for deletes. */
const ON_DELETE = 8;

/** Does a trigger act on deleted rows, as one does that takes their copies away? */
export async function readActsOnDelete(session: Session, qualifiedName: string): Promise<boolean> {
  const { rows } = await session.query<{ acts: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_trigger
                     WHERE tgrelid = to_regclass($1) AND NOT tgisinternal AND (tgtype & ${ON_DELETE}) > 0) AS acts`,
    [qualifiedName],
  );
  return rows[0]?.acts === true;
}

/** Those of the columns that may hold NULLs although they are NOT NULL, as nobody has validated that; since version 18. */
export async function listUnvalidated(
  session: Session,
  qualifiedName: string,
  columns: readonly string[],
): Promise<string[]> {
  const { rows } = await session.query<{ name: string }>(
    `SELECT attname::text AS name
       FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
      WHERE conrelid = to_regclass($1) AND contype = 'n' AND NOT convalidated AND attname = ANY ($2)
      ORDER BY attnum`,
    [qualifiedName, columns],
  );
  return rows.map(({ name }) => name);
}

/** What the server brings along has lower numbers; FirstNormalObjectId of its sources. */
const FIRST_OWN_OID = 16_384;

/** A domain is looked through to the type below it, which decides how its text is read and cast. */
const READ_COLUMNS = `
  WITH RECURSIVE listed AS (
    SELECT a.attnum::int AS position, a.attname::text AS name, a.atttypid AS typid, a.atttypmod AS typmod,
           format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
           a.attgenerated <> '' OR a.attidentity = 'a' AS generated, false AS missing
      FROM pg_attribute a
     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 10000 + later.position::int, later.name, later.type::regtype::oid, -1, later.type, true, false, true
      FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS later(name, type, position)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attname = later.name
                          AND a.attnum > 0 AND NOT a.attisdropped)
  ), below AS (
    SELECT position, typid FROM listed
    UNION
    SELECT below.position, t.typbasetype FROM below JOIN pg_type t ON t.oid = below.typid WHERE t.typtype = 'd'
  )
  SELECT listed.name, listed.type, format_type(t.oid, -1) AS "castType", listed.nullable, listed.generated,
         CASE WHEN t.oid < ${FIRST_OWN_OID} AND t.typsend <> 0 AND t.typtype <> 'c' THEN format_type(t.oid, -1) ELSE 'text' END
           AS "storedType",
         t.typcollation <> 0 AS collatable,
         CASE WHEN t.typname IN ('varchar', 'bpchar') AND listed.typmod > 4 THEN listed.typmod - 4 END AS "maxLength",
         listed.missing, t.typname::text AS typname, t.typcategory::text AS typcategory
    FROM listed
    JOIN below USING (position)
    JOIN pg_type t ON t.oid = below.typid AND t.typtype <> 'd'
   ORDER BY listed.position`;
