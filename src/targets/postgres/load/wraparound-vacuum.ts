import type { Measurement } from '../../../domain/gate-verdict.ts';
import type { Session } from '../../target.ts';
import { TABLE_TREE, THIS_DATABASE } from './table-tree.ts';

/**
 * 1 while autovacuum is at work on the table, a partition or their TOAST tables to prevent wraparound, else 0: while it holds
 * the lock of a vacuum on one that is older than the age from which on autovacuum is for that. Told so without the texts
 * of others' statements, which only some roles may read. Rights: none.
 */
export async function measureWraparoundVacuum(session: Session, table: string): Promise<Measurement> {
  const { rows } = await session.query<{ at_work: boolean }>(AT_WORK, [table]);
  return { kind: 'value', value: rows[0]?.at_work ? 1 : 0 };
}

/** A table's own setting can only make the age lower. */
const maxAge = (setting: string) =>
  `least(current_setting('${setting}')::bigint,
         (SELECT option_value::bigint FROM pg_options_to_table(reloptions) WHERE option_name = '${setting}'))`;

/** Background workers act for no user. */
const AT_WORK = `
  WITH RECURSIVE ${TABLE_TREE},
  storage AS (
    SELECT relation FROM tree
    UNION ALL
    SELECT reltoastrelid FROM tree JOIN pg_class ON oid = relation)
  SELECT EXISTS (
    SELECT FROM pg_class JOIN storage ON oid = storage.relation
     WHERE relkind IN ('r', 'm', 't')
       AND (age(relfrozenxid) > ${maxAge('autovacuum_freeze_max_age')}
            OR mxid_age(relminmxid) > ${maxAge('autovacuum_multixact_freeze_max_age')})
       AND EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
                    WHERE pg_locks.relation = pg_class.oid AND pg_locks.database = ${THIS_DATABASE}
                      AND mode = 'ShareUpdateExclusiveLock' AND granted AND usesysid IS NULL)) AS at_work`;
