import type { Session } from '../../target.ts';

/** What keeps dead rows from being removed, at present. */
export type OldestXmin = {
  /** False to a role that may not see how old others' transactions are. */
  visible: boolean;
  /** Age of the oldest transaction of this database, prepared ones among them, in milliseconds; null when there is none. */
  transactionMs: number | null;
  /** The oldest transaction number that a standby or a replication slot holds back, of which the server knows no time. */
  held: string | null;
  /** How long at least, where the slot is not in use and the server (from version 17) knows since when. */
  heldMs: number | null;
};

/**
 * Vacuums hold nothing back, nor do transactions of other databases; numbers that logical slots hold back in catalogs only
 * don't matter to tables. Rights: pg_read_all_stats (or pg_monitor).
 */
export async function readOldestXmin(session: Session): Promise<OldestXmin> {
  const { rows } = await session.query<OldestXmin>(OLDEST_XMIN);
  const [found] = rows;
  if (!found) throw new Error('the server answered a query of one row with none');
  return found;
}

const OLDEST_XMIN = `
  WITH held AS (
    SELECT xmin, age(xmin) AS age, (to_jsonb(slot) ->> 'inactive_since')::timestamptz AS since
      FROM pg_replication_slots AS slot WHERE xmin IS NOT NULL
    UNION ALL
    SELECT backend_xmin, age(backend_xmin), NULL FROM pg_stat_replication WHERE backend_xmin IS NOT NULL
     ORDER BY age DESC LIMIT 1),
  transactions AS (
    SELECT xact_start AS since FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
       AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
       AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
    UNION ALL
    SELECT prepared FROM pg_prepared_xacts WHERE database = current_database())
  SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS visible,
         (SELECT extract(epoch FROM clock_timestamp() - min(since)) * 1000 FROM transactions)::float8 AS "transactionMs",
         (SELECT xmin::text FROM held) AS held,
         (SELECT extract(epoch FROM clock_timestamp() - since) * 1000 FROM held)::float8 AS "heldMs"`;
