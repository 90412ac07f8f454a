import type { Session } from '../../target.ts';
import type { TakenException } from '../backfill/exception-decisions.ts';
import type { Key } from '../backfill/table.ts';

/** Exceptions of these rows that nobody has decided about; their records stay as they are until the transaction ends. */
export async function takeOpenExceptions(
  session: Session,
  runId: string,
  backfill: string,
  keys: readonly Key[],
): Promise<TakenException[]> {
  const { rows } = await session.query<TakenException>(
    `SELECT id::text, key, kind, status, counted, suggestion, proposal, encode(seen, 'hex') AS seen
       FROM cutover.exception
      WHERE run_id = $1 AND phase = $2 AND status = 'open' AND kind IN ('ambiguous', 'failed')
        AND key IN (SELECT jsonb_array_elements($3::jsonb))
      ORDER BY exception.id FOR UPDATE`,
    [runId, backfill, JSON.stringify(keys)],
  );
  return rows;
}

/** Some rows that were set aside and that nobody has decided about, other ones each time, with what they were like then. */
export async function sampleOpenExceptions(
  session: Session,
  runId: string,
  backfill: string,
  limit: number,
): Promise<{ key: Key; seen: string | null }[]> {
  const { rows } = await session.query<{ key: Key; seen: string | null }>(
    `SELECT key, encode(seen, 'hex') AS seen FROM cutover.exception
      WHERE run_id = $1 AND phase = $2 AND status = 'open' AND kind IN ('ambiguous', 'failed')
      ORDER BY random() LIMIT $3`,
    [runId, backfill, limit],
  );
  return rows;
}
