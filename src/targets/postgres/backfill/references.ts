import type { Session } from '../../target.ts';
import type { BackfillTable } from './table.ts';

/**
 * Queries for rows that refer to a row of the table, and that deleting it would delete or change as well: by foreign keys
 * that say ON DELETE CASCADE, SET NULL or SET DEFAULT. Others refuse the delete by themselves.
 */
export async function readReferences(session: Session, table: BackfillTable): Promise<string[]> {
  const { rows } = await session.query<{ query: string }>(
    `SELECT format('SELECT FROM %s AS cutover_child WHERE %s', c.conrelid::regclass,
                   string_agg(format('cutover_child.%I = %s.%I', child.attname, $2::text, parent.attname), ' AND ')) AS query
       FROM pg_constraint c
       CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS pair(child, parent)
       JOIN pg_attribute child ON child.attrelid = c.conrelid AND child.attnum = pair.child
       JOIN pg_attribute parent ON parent.attrelid = c.confrelid AND parent.attnum = pair.parent
      WHERE c.contype = 'f' AND c.confrelid = to_regclass($1) AND c.conparentid = 0 AND c.confdeltype IN ('c', 'n', 'd')
      GROUP BY c.oid, c.conrelid`,
    [table.qualifiedName, table.alias],
  );
  return rows.map(({ query }) => query);
}
