import type { Session } from '../target.ts';

/** One statement of a phase of a run. */
export type StatementKey = {
  runId: string;
  phase: string;
  direction: 'up' | 'down';
  index: number;
  /** How many statements the phase has in this direction. */
  total: number;
};

export type StatementRecord = {
  state: 'new' | 'started' | 'finished';
  /** Oids of invalid indexes that were there before the statement was first started. */
  invalidBefore: string[];
};

export async function statementRecord(session: Session, key: StatementKey): Promise<StatementRecord> {
  const { rows } = await session.query<StatementRecord>(
    `SELECT CASE WHEN finished_at IS NULL THEN 'started' ELSE 'finished' END AS state,
            invalid_before::text[] AS "invalidBefore"
       FROM cutover.applied_statement
      WHERE run_id = $1 AND phase = $2 AND direction = $3 AND index = $4`,
    [key.runId, key.phase, key.direction, key.index],
  );
  return rows[0] ?? { state: 'new', invalidBefore: [] };
}

/** For a statement that cannot share a transaction with its record, before it runs. */
export async function markStarted(
  session: Session,
  key: StatementKey & { statement: string },
  invalidBefore: readonly string[],
): Promise<void> {
  await session.query(
    `INSERT INTO cutover.applied_statement (run_id, phase, direction, index, total, statement, invalid_before)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT DO NOTHING`,
    [key.runId, key.phase, key.direction, key.index, key.total, key.statement, invalidBefore],
  );
}

export type CutOff = { statement: string; invalidBefore: string[] };

/** Statements of the way up that were started and never finished: what they left behind is still there. */
export async function cutOffStatements(session: Session, runId: string, phase: string): Promise<CutOff[]> {
  const { rows } = await session.query<CutOff>(
    `SELECT statement, invalid_before::text[] AS "invalidBefore" FROM cutover.applied_statement
      WHERE run_id = $1 AND phase = $2 AND direction = 'up' AND finished_at IS NULL AND statement IS NOT NULL
      ORDER BY index`,
    [runId, phase],
  );
  return rows;
}

/**
 * False when it was finished already. In one transaction with the statement, and before it: a second worker with the same
 * statement then waits here for the first one's outcome.
 */
export async function markFinished(session: Session, key: StatementKey): Promise<boolean> {
  const { rowCount } = await session.query(
    `INSERT INTO cutover.applied_statement AS known (run_id, phase, direction, index, total, finished_at)
     VALUES ($1, $2, $3, $4, $5, clock_timestamp())
     ON CONFLICT (run_id, phase, direction, index)
     DO UPDATE SET finished_at = excluded.finished_at WHERE known.finished_at IS NULL`,
    [key.runId, key.phase, key.direction, key.index, key.total],
  );
  return rowCount > 0;
}

/** For a statement that the server has refused, so that certainly nothing of it was done. */
export async function forgetStatement(session: Session, key: StatementKey): Promise<void> {
  await session.query(
    `DELETE FROM cutover.applied_statement
      WHERE run_id = $1 AND phase = $2 AND direction = $3 AND index = $4 AND finished_at IS NULL`,
    [key.runId, key.phase, key.direction, key.index],
  );
}

/** How far the way up came: nothing of it, some statements, or all. */
export async function upState(
  session: Session,
  runId: string,
  phase: string,
): Promise<'none' | 'part' | 'all'> {
  const { rows: schema } = await session.query<{ there: boolean }>(
    `SELECT to_regclass('cutover.applied_statement') IS NOT NULL AS there`,
  );
  if (!schema[0]?.there) return 'none';
  const { rows } = await session.query<{ begun: boolean; complete: boolean }>(
    `SELECT count(*) > 0 AS begun, coalesce(count(finished_at) >= max(total), false) AS complete
       FROM cutover.applied_statement WHERE run_id = $1 AND phase = $2 AND direction = 'up'`,
    [runId, phase],
  );
  if (!rows[0]?.begun) return 'none';
  return rows[0].complete ? 'all' : 'part';
}

/** After the way down: the phase is as if it had never run. */
export async function forgetPhase(session: Session, runId: string, phase: string): Promise<void> {
  await session.query('DELETE FROM cutover.applied_statement WHERE run_id = $1 AND phase = $2', [
    runId,
    phase,
  ]);
}
