import type { Session } from '../../target.ts';
import type { BackfillTable } from './table.ts';

/**
 * Does every row of the table have an `xmin` that changes with each update? Ordinary tables do; views, foreign tables and
 * other ways to store rows don't, as a table or as the part of one.
 */
export async function hasRowVersions(session: Session, { qualifiedName }: BackfillTable): Promise<boolean> {
  const { rows } = await session.query<{ versioned: boolean }>(
    `WITH RECURSIVE part(oid) AS (
       SELECT to_regclass($1)::oid
       UNION
       SELECT inhrelid FROM pg_inherits JOIN part ON inhparent = part.oid
     )
     SELECT bool_and(c.relkind = 'p' OR c.relkind = 'r' AND am.amname = 'heap') AS versioned
       FROM part JOIN pg_class c USING (oid) LEFT JOIN pg_am am ON am.oid = c.relam`,
    [qualifiedName],
  );
  return rows[0]?.versioned === true;
}
