import type { Session } from '../../target.ts';

/** What is known of a sync in the target. */
export type SyncRecord = {
  id: string;
  /** The table with its schema, quoted; null where nothing is installed on it. */
  table: string | null;
  triggers: string[];
  /** Tells, trigger by trigger, whether somebody has touched it since. */
  versions: string[];
  installed: boolean;
  removed: boolean;
  /** All transactions before this one were seen by the triggers. */
  seenUntil: string | null;
  /** Rows written by transactions from this one on are being looked for. */
  rescanFrom: string | null;
  /** Up to this key they have been looked for. */
  rescanAfter: string[] | null;
};

const COLUMNS = `id::text, table_name AS "table", triggers, trigger_versions AS versions, installed, removed,
  seen_until::text AS "seenUntil", rescan_from::text AS "rescanFrom", rescan_after AS "rescanAfter"`;

/** The sync; undefined when it was never installed on this target. */
export async function selectSync(
  session: Session,
  runId: string,
  phase: string,
): Promise<SyncRecord | undefined> {
  const { rows: schema } = await session.query<{ there: boolean }>(
    `SELECT to_regclass('cutover.sync') IS NOT NULL AS there`,
  );
  if (!schema[0]?.there) return undefined;
  return (await select(session, runId, phase, '')).at(0);
}

/** The sync, new if need be; whoever else takes or removes it waits until the transaction ends. */
export async function takeSync(session: Session, runId: string, phase: string): Promise<SyncRecord> {
  await session.query(
    'INSERT INTO cutover.sync (run_id, phase) VALUES ($1, $2) ON CONFLICT (run_id, phase) DO NOTHING',
    [runId, phase],
  );
  const [record] = await select(session, runId, phase, 'FOR UPDATE');
  if (!record) throw new Error(`the sync "${phase}" of run ${runId} was forgotten meanwhile`);
  return record;
}

/** The sync, which stays as it is until the transaction ends: it is not removed meanwhile. */
export async function holdSync(
  session: Session,
  runId: string,
  phase: string,
): Promise<SyncRecord | undefined> {
  return (await select(session, runId, phase, 'FOR SHARE')).at(0);
}

async function select(
  session: Session,
  runId: string,
  phase: string,
  lock: '' | 'FOR UPDATE' | 'FOR SHARE',
): Promise<SyncRecord[]> {
  const { rows } = await session.query<SyncRecord>(
    `SELECT ${COLUMNS} FROM cutover.sync WHERE run_id = $1 AND phase = $2 ${lock}`,
    [runId, phase],
  );
  return rows;
}

/** Notes what was installed, and that from this moment on it sees every write. */
export async function markInstalled(
  session: Session,
  { id }: SyncRecord,
  { table, triggers, versions }: Pick<SyncRecord, 'table' | 'triggers' | 'versions'>,
): Promise<void> {
  await session.query(
    `UPDATE cutover.sync
        SET installed = true, table_name = $2, triggers = $3, trigger_versions = $4, seen_until = ${NOW}
      WHERE id = $1`,
    [id, table, triggers, versions],
  );
}

export async function markRemoved(session: Session, { id }: SyncRecord): Promise<void> {
  await session.query('UPDATE cutover.sync SET removed = true, installed = false WHERE id = $1', [id]);
}

/** The lowest transaction that may still write, as the transaction's snapshot has it. */
const NOW = 'pg_snapshot_xmin(pg_current_snapshot())::text::bigint';

export async function currentTransaction(session: Session): Promise<string> {
  const { rows } = await session.query<{ now: string }>(`SELECT ${NOW}::text AS now`);
  return rows[0]?.now ?? '0';
}

/** Notes that the triggers were in place all the time up to this transaction. */
export async function markSeen(session: Session, { id }: SyncRecord, until: string): Promise<void> {
  await session.query('UPDATE cutover.sync SET seen_until = $2 WHERE id = $1', [id, until]);
}

/** Has rows looked for that were written by transactions from this one on, from the first key again. */
export async function beginRescan(session: Session, { id }: SyncRecord, from: string): Promise<void> {
  await session.query(
    `UPDATE cutover.sync SET rescan_from = least(rescan_from, $2::bigint), rescan_after = NULL WHERE id = $1`,
    [id, from],
  );
}

/** Notes how far the look is; null when it is done. */
export async function advanceRescan(
  session: Session,
  { id }: SyncRecord,
  after: readonly string[] | null,
): Promise<void> {
  await session.query(
    `UPDATE cutover.sync
        SET rescan_after = $2, rescan_from = CASE WHEN $2::text[] IS NULL THEN NULL ELSE rescan_from END
      WHERE id = $1`,
    [id, after],
  );
}

/** Whether keys wait to be dealt with, or rows to be looked for. */
export async function hasWork(session: Session, runId: string, phase: string): Promise<boolean> {
  const { rows } = await session.query<{ work: boolean }>(
    `SELECT rescan_from IS NOT NULL OR EXISTS (SELECT FROM cutover.captured WHERE captured.sync = record.id) AS work
       FROM cutover.sync AS record WHERE run_id = $1 AND phase = $2`,
    [runId, phase],
  );
  return rows[0]?.work === true;
}
