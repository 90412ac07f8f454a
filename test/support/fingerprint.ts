import type pg from 'pg';

/** Everything that a schema dump would tell of the user's schemas, as sorted lines. */
const SCHEMA = `
  SELECT line FROM (
    SELECT 'schema ' || nspname AS line, oid AS schema FROM pg_namespace
    UNION ALL
    SELECT format('table %I kind %s rls %s %s comment %s', relname, relkind, relrowsecurity, relforcerowsecurity,
                  obj_description(oid, 'pg_class')), relnamespace FROM pg_class
    UNION ALL
    SELECT format('column %s.%I %s null %s default %s generated %s at %s', attrelid::regclass, attname,
                  format_type(atttypid, atttypmod), NOT attnotnull, pg_get_expr(adbin, adrelid), attgenerated,
                  row_number() OVER (PARTITION BY attrelid ORDER BY attnum)), relnamespace
      FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid AND relkind IN ('r', 'v', 'p')
      LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT pg_get_indexdef(indexrelid) || ' valid ' || indisvalid, relnamespace FROM pg_index JOIN pg_class ON oid = indexrelid
    UNION ALL
    SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)), connamespace FROM pg_constraint
    UNION ALL
    SELECT pg_get_triggerdef(t.oid) || tgenabled::text, relnamespace FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
     WHERE NOT tgisinternal
    UNION ALL
    SELECT pg_get_functiondef(oid), pronamespace FROM pg_proc WHERE prokind IN ('f', 'p')
    UNION ALL
    SELECT format('policy %s %s %s', polrelid::regclass, polname, pg_get_expr(polqual, polrelid)), relnamespace
      FROM pg_policy JOIN pg_class c ON c.oid = polrelid
  ) AS facts JOIN pg_namespace n ON n.oid = facts.schema
  WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY line`;

/** The schema of a database and a checksum of every table's rows; equal when nothing has changed. */
export async function fingerprint(
  client: pg.Client,
): Promise<{ schema: string[]; rows: Record<string, string> }> {
  const { rows: schema } = await client.query<{ line: string }>(SCHEMA);
  const { rows: tables } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
      WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
  );
  const rows: Record<string, string> = {};
  for (const { name } of tables) {
    const result = await client.query<{ sum: string }>(
      `SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE "C")), '') AS sum FROM ${name} t`,
    );
    rows[name] = result.rows[0]?.sum ?? '';
  }
  return { schema: schema.map(({ line }) => line), rows };
}
