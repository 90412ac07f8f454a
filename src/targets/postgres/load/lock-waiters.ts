import type { Measurement } from '../../../domain/gate-verdict.ts';
import type { Session } from '../../target.ts';
import { LANE_AT_WORK } from './lane-locks.ts';
import { TABLE_TREE, THIS_DATABASE } from './table-tree.ts';

/**
 * Sessions, other than lanes of backfills, that wait for a lock on the table, one of its partitions or one of their rows,
 * or for a lane of this backfill, whatever it holds. Rights: none.
 * @param backfill as its lanes are known by in {@link takeSeat}.
 */
export async function measureLockWaiters(
  session: Session,
  table: string,
  backfill: string,
): Promise<Measurement> {
  const { rows } = await session.query<{ waiters: number }>(LOCK_WAITERS, [table, backfill]);
  return { kind: 'value', value: rows[0]?.waiters ?? 0 };
}

/**
 * Whoever waits for a row waits for the transaction that wrote it, and while it does it holds the row's tuple lock: that is
 * how such a wait is known to be for this table.
 */
const LOCK_WAITERS = `
  WITH RECURSIVE ${TABLE_TREE},
  lanes AS (
    SELECT pid, objid = hashtext($2)::oid AS mine FROM pg_locks
     WHERE locktype = 'advisory' AND classid = ${LANE_AT_WORK} AND objsubid = 2 AND database = ${THIS_DATABASE}),
  locks AS MATERIALIZED (
    SELECT pid, granted, locktype, relation IN (SELECT relation FROM tree) AND database = ${THIS_DATABASE} AS ours
      FROM pg_locks
     WHERE pid NOT IN (SELECT pid FROM lanes) AND (NOT granted OR locktype = 'tuple'))
  SELECT count(DISTINCT pid)::int AS waiters
    FROM locks AS waiting
   WHERE NOT granted
     AND (ours
          OR locktype = 'transactionid'
             AND EXISTS (SELECT FROM locks AS held WHERE held.granted AND held.ours AND held.pid = waiting.pid)
          OR pg_blocking_pids(pid) && (SELECT array_agg(pid) FROM lanes WHERE mine))`;
