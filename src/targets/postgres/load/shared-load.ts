import type { Session } from '../../target.ts';
import type { OwnTable } from '../own-schema.ts';

/** What the lanes of a backfill, or of its undo, know together about the load, whichever of them measured it. */
export const LOAD: OwnTable = {
  name: 'load',
  create: [
    `CREATE TABLE cutover.load (
       run_id text NOT NULL,
       phase text NOT NULL,
       direction text NOT NULL,
       -- What was measured and decided last; NULL before the first time.
       state jsonb,
       measured_at timestamptz,
       -- One of the lanes is measuring, until then at the longest.
       measuring_until timestamptz,
       PRIMARY KEY (run_id, phase, direction)
     ) WITH (fillfactor = 50)`,
  ],
};

export type LoadKey = { runId: string; phase: string; direction: 'forward' | 'undo' };

export type SharedLoad<State> = {
  state: State;
  /** How long ago it was measured, in milliseconds. */
  ageMs: number;
};

/** Undefined before the first measurement. */
export async function readLoad<State>(
  session: Session,
  { runId, phase, direction }: LoadKey,
): Promise<SharedLoad<State> | undefined> {
  const { rows } = await session.query<SharedLoad<State>>(
    `SELECT state, (extract(epoch FROM clock_timestamp() - measured_at) * 1000)::float8 AS "ageMs"
       FROM cutover.load
      WHERE run_id = $1 AND phase = $2 AND direction = $3 AND measured_at IS NOT NULL`,
    [runId, phase, direction],
  );
  return rows[0];
}

/** The right to measure, until it is used or has run out. */
export type LoadClaim<State> = {
  token: string;
  /** As it was before; null at the first time. */
  state: State | null;
  /** By the server's clock, in milliseconds. */
  now: number;
};

/**
 * Claims the right to measure, for all lanes. Undefined when somebody else has it, or has measured a moment ago; never waits
 * for anybody.
 * @param options milliseconds: how long the last measurement is good for, and how long this one may take.
 */
export async function claimMeasurement<State>(
  session: Session,
  { runId, phase, direction }: LoadKey,
  options: { everyMs: number; leaseMs: number },
): Promise<LoadClaim<State> | undefined> {
  const key = [runId, phase, direction];
  await session.query(
    `INSERT INTO cutover.load (run_id, phase, direction)
     SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM cutover.load WHERE run_id = $1 AND phase = $2 AND direction = $3)
     ON CONFLICT DO NOTHING`,
    key,
  );
  const { rows } = await session.query<LoadClaim<State>>(
    `UPDATE cutover.load SET measuring_until = clock_timestamp() + $5 * interval '1 ms'
      WHERE run_id = $1 AND phase = $2
        AND direction = (
          SELECT direction FROM cutover.load
           WHERE run_id = $1 AND phase = $2 AND direction = $3
             AND (measuring_until IS NULL OR measuring_until < clock_timestamp())
             AND (measured_at IS NULL OR measured_at <= clock_timestamp() - $4 * interval '1 ms')
             FOR UPDATE SKIP LOCKED)
     RETURNING measuring_until::text AS token, state, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now`,
    [...key, options.everyMs, options.leaseMs],
  );
  return rows[0];
}

/** Shares what was measured; nothing happens when the right to do so has run out and somebody else has it. */
export async function shareLoad<State>(
  session: Session,
  { runId, phase, direction }: LoadKey,
  token: string,
  state: State,
): Promise<void> {
  await session.query(
    `UPDATE cutover.load SET state = $5, measured_at = clock_timestamp(), measuring_until = NULL
      WHERE run_id = $1 AND phase = $2 AND direction = $3 AND measuring_until = $4::timestamptz`,
    [runId, phase, direction, token, JSON.stringify(state)],
  );
}
