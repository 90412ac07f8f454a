import type { Session } from '../../target.ts';
import type { Key } from '../backfill/table.ts';

/** One note that a row was changed; a key may be noted many times. */
export type Captured = { id: string; key: Key };

/** The oldest notes beyond `after` that nobody else is working on; they stay locked until the transaction ends. */
export async function takeCaptured(
  session: Session,
  sync: string,
  after: string,
  limit: number,
): Promise<Captured[]> {
  const { rows } = await session.query<Captured>(
    `SELECT id::text, key FROM cutover.captured WHERE sync = $1 AND id > $2
      ORDER BY captured.id LIMIT $3 FOR UPDATE SKIP LOCKED`,
    [sync, after, limit],
  );
  return rows;
}

export async function deleteCaptured(session: Session, sync: string, ids: readonly string[]): Promise<void> {
  await session.query('DELETE FROM cutover.captured WHERE sync = $1 AND id = ANY ($2::bigint[])', [
    sync,
    ids,
  ]);
}

/** Forgets all notes of a sync; returns how many there were. */
export async function clearCaptured(session: Session, sync: string): Promise<number> {
  const { rowCount } = await session.query('DELETE FROM cutover.captured WHERE sync = $1', [sync]);
  return rowCount;
}

/** Notes keys on behalf of the engine. */
export async function insertCaptured(
  session: Session,
  sync: string,
  runId: string,
  keys: readonly Key[],
): Promise<void> {
  await session.query(
    `INSERT INTO cutover.captured (sync, run_id, key)
     SELECT $1, $2, ARRAY(SELECT jsonb_array_elements_text(key)) FROM jsonb_array_elements($3::jsonb) AS key`,
    [sync, runId, JSON.stringify(keys)],
  );
}

export type Queue = {
  /** Notes that wait; counted up to the limit that was asked for, and one beyond it. */
  waiting: number;
  /** For how long the oldest has waited; 0 when there is none. */
  oldestMs: number;
};

export async function readQueue(session: Session, sync: string, limit: number): Promise<Queue> {
  const { rows } = await session.query<Queue>(
    `SELECT (SELECT count(*) FROM (SELECT FROM cutover.captured WHERE sync = $1 LIMIT $2) AS counted)::float8 AS waiting,
            coalesce((SELECT extract(epoch FROM clock_timestamp() - captured_at) * 1000
                        FROM cutover.captured WHERE sync = $1 ORDER BY id LIMIT 1), 0)::float8 AS "oldestMs"`,
    [sync, limit + 1],
  );
  return rows[0] ?? { waiting: 0, oldestMs: 0 };
}

/**
 * Leaves one note per key, the latest. Both changes are visible by now, so that whoever deals with the later note sees the
 * earlier change as well. Notes that somebody works on stay.
 */
export async function compactCaptured(session: Session, sync: string): Promise<number> {
  const { rowCount } = await session.query(
    `WITH superseded AS (
       SELECT captured.id FROM cutover.captured
         JOIN (SELECT key, max(id) AS last FROM cutover.captured WHERE sync = $1 GROUP BY key HAVING count(*) > 1) AS latest
           ON captured.key = latest.key AND captured.id < latest.last
        WHERE captured.sync = $1
          FOR UPDATE OF captured SKIP LOCKED)
     DELETE FROM cutover.captured USING superseded WHERE captured.sync = $1 AND captured.id = superseded.id`,
    [sync],
  );
  return rowCount;
}
