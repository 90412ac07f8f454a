import type { Session } from '../../target.ts';

/** What the database would refuse a row's new values for, as SQL over the row as it would be. */
export type RowConstraints = {
  /** Conditions that must not be false; unqualified names in them are the row's columns. */
  conditions: {
    kind: 'check' | 'foreign-key';
    name: string;
    /** SQL with `cutover_row` as the row as it would be. */
    sql: string;
    /** Columns that it is about. */
    columns: string[];
  }[];
  uniques: {
    name: string;
    /** SQL of the values that no two rows may share. */
    items: string[];
    /** Only rows that meet this count. */
    predicate: string | null;
    nullsDistinct: boolean;
    columns: string[];
  }[];
};

/**
 * The enforced CHECK constraints of a table, and those foreign keys and unique indexes that are about columns which are
 * written. What involves generated columns is left out: they would change with the row.
 */
export async function loadRowConstraints(
  session: Session,
  qualifiedName: string,
  written: readonly string[],
): Promise<RowConstraints> {
  const { rows: checks } = await session.query<{ name: string; sql: string; columns: string[] }>(CHECKS, [
    qualifiedName,
  ]);
  const { rows: foreignKeys } = await session.query<{ name: string; sql: string; columns: string[] }>(
    FOREIGN_KEYS,
    [qualifiedName, written],
  );
  const { rows: uniques } = await session.query<RowConstraints['uniques'][number]>(UNIQUES, [
    qualifiedName,
    written,
  ]);
  return {
    conditions: [
      ...checks.map((check) => ({ kind: 'check' as const, ...check })),
      ...foreignKeys.map((key) => ({ kind: 'foreign-key' as const, ...key })),
    ],
    uniques,
  };
}

const IS_GENERATED = `EXISTS (SELECT FROM pg_attribute g WHERE g.attrelid = c.conrelid AND g.attnum = ANY (c.conkey)
                                AND g.attgenerated <> '')`;

const NAMES = `(SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}') FROM pg_attribute a
                 WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))`;

/** Every CHECK constraint is looked at with every update, whatever columns it writes; also one that is NOT VALID. */
const CHECKS = `
  SELECT c.conname::text AS name, '(' || pg_get_expr(c.conbin, c.conrelid) || ')' AS sql, ${NAMES} AS columns
    FROM pg_constraint c
   WHERE c.conrelid = to_regclass($1) AND c.contype = 'c' AND NOT ${IS_GENERATED}
     -- Since version 18 a constraint may be there and not be enforced.
     AND coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true)
   ORDER BY c.conname`;

/** As MATCH SIMPLE has it, which is what there is in practice: a NULL among the columns refers to nothing. */
const FOREIGN_KEYS = `
  SELECT c.conname::text AS name, ${NAMES} AS columns,
         format('(%s OR EXISTS (SELECT FROM %s AS cutover_other WHERE %s))',
                string_agg(format('cutover_row.%I IS NULL', own.attname), ' OR ' ORDER BY position),
                c.confrelid::regclass,
                string_agg(format('cutover_other.%I = cutover_row.%I', other.attname, own.attname),
                           ' AND ' ORDER BY position)) AS sql
    FROM pg_constraint c
    CROSS JOIN generate_subscripts(c.conkey, 1) AS position
    JOIN pg_attribute own ON own.attrelid = c.conrelid AND own.attnum = c.conkey[position]
    JOIN pg_attribute other ON other.attrelid = c.confrelid AND other.attnum = c.confkey[position]
   WHERE c.conrelid = to_regclass($1) AND c.contype = 'f' AND NOT ${IS_GENERATED}
     AND coalesce((to_jsonb(c) ->> 'conenforced')::boolean, true)
   GROUP BY c.oid, c.conname, c.conrelid, c.confrelid, c.conkey
  HAVING bool_or(own.attname = ANY ($2::text[]))
   ORDER BY c.conname`;

const IS_USED = `a.attnum > 0 AND (a.attnum = ANY (i.indkey) OR EXISTS (
  SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
     AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))`;

const UNIQUES = `
  SELECT index.relname::text AS name,
         ARRAY(SELECT pg_get_indexdef(i.indexrelid, position, true) FROM generate_series(1, i.indnkeyatts) AS position
                ORDER BY position) AS items,
         pg_get_expr(i.indpred, i.indrelid) AS predicate,
         NOT coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS "nullsDistinct",
         ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid AND ${IS_USED}) AS columns
    FROM pg_index i JOIN pg_class index ON index.oid = i.indexrelid
   WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid
     AND EXISTS (SELECT FROM pg_attribute a
                  WHERE a.attrelid = i.indrelid AND a.attname = ANY ($2::text[]) AND ${IS_USED})
     AND NOT EXISTS (SELECT FROM pg_attribute a
                      WHERE a.attrelid = i.indrelid AND a.attgenerated <> '' AND ${IS_USED})
   ORDER BY index.relname`;
