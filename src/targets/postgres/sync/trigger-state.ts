import type { Session } from '../../target.ts';

/** A trigger on the table, or on one of its partitions. */
export type TriggerState = {
  /** Quoted and with its schema. */
  relation: string;
  /** Whether that is the table itself. */
  own: boolean;
  name: string;
  /** Missing; there, but not fired by what the application writes; or as it should be. */
  state: 'missing' | 'disabled' | 'enabled';
  /** Changes whenever somebody alters the trigger. */
  version: string | null;
};

/** How these triggers are on the table of that name and all its partitions; empty when there is no such table. */
export async function readTriggers(
  session: Session,
  table: string,
  triggers: readonly string[],
): Promise<TriggerState[]> {
  const { rows } = await session.query<TriggerState>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS relation, c.oid = to_regclass($1) AS own, wanted.name,
            CASE WHEN t.oid IS NULL THEN 'missing' WHEN t.tgenabled IN ('O', 'A') THEN 'enabled' ELSE 'disabled' END AS state,
            t.xmin::text AS version
       FROM (SELECT to_regclass($1)::oid AS oid UNION SELECT relid::oid FROM pg_partition_tree(to_regclass($1))) AS parts
       JOIN pg_class c USING (oid)
       JOIN pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN unnest($2::text[]) WITH ORDINALITY AS wanted(name, position)
       LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = wanted.name
      ORDER BY own DESC, relation, position`,
    [table, triggers],
  );
  return rows;
}
