import type {
  ExceptionFilter,
  ExceptionKind,
  ExceptionStatus,
  LeftException,
} from '../../../domain/row-exception.ts';
import { storableJson } from '../../../domain/storable.ts';
import type { Session } from '../../target.ts';
import { moveCounts } from './exception-counts.ts';
import { exceptionConditions } from './exceptions.ts';
import { Params } from './sql.ts';
import type { Key } from './table.ts';

/** Whose exceptions, and which request of a person is about them. */
export type DecisionScope = { runId: string; phase: string; request: string };

/** An exception that is being decided; nobody else can change its record until the transaction ends. */
export type TakenException = {
  id: string;
  key: Key;
  kind: ExceptionKind;
  status: ExceptionStatus;
  counted: boolean;
  /** As it may be shown. */
  suggestion: unknown;
  /** What accepting it writes, as text by column. */
  proposal: Record<string, string | null> | null;
  seen: string | null;
};

/** What a decision makes of an exception; `open` when it could not be carried out. */
export type Verdict = {
  exception: TakenException;
  status: ExceptionStatus;
  note?: string | undefined;
  value?: Record<string, unknown> | undefined;
  seen?: string | undefined;
};

/** Holds the backfill's record until the transaction ends, so that its undo cannot begin. */
export async function holdCheckpoint(
  session: Session,
  runId: string,
  phase: string,
): Promise<{ direction: 'forward' | 'undo'; pinned: boolean } | undefined> {
  const { rows } = await session.query<{ direction: 'forward' | 'undo'; pinned: boolean }>(
    'SELECT direction, pinned FROM cutover.checkpoint WHERE run_id = $1 AND phase = $2 FOR NO KEY UPDATE',
    [runId, phase],
  );
  return rows[0];
}

export type Taking = {
  statuses: ExceptionStatus[];
  /** Those only whose suggestion can be accepted. */
  acceptable: boolean;
  /** Id of the last one taken. */
  after: string;
  limit: number;
};

/** Takes the next exceptions that the request has not dealt with yet, in the order of their ids. */
export async function takeExceptions(
  session: Session,
  { runId, phase, request }: DecisionScope,
  filter: ExceptionFilter,
  { statuses, acceptable, after, limit }: Taking,
): Promise<TakenException[]> {
  const params = new Params();
  const conditions = [
    `run_id = ${params.add(runId)} AND phase = ${params.add(phase)} AND id > ${params.add(after)}`,
    `request IS DISTINCT FROM ${params.add(request)} AND status = ANY (${params.add(statuses)})`,
    ...(acceptable ? ['proposal IS NOT NULL'] : []),
    ...exceptionConditions({ ...filter, status: undefined }, params),
  ];
  const { rows } = await session.query<TakenException>(
    `SELECT id::text, key, kind, status, counted, suggestion, proposal, encode(seen, 'hex') AS seen
       FROM cutover.exception
      WHERE ${conditions.join(' AND ')}
      ORDER BY exception.id LIMIT ${params.add(limit)} FOR UPDATE`,
    params.values,
  );
  return rows;
}

/** Records what was decided, in the transaction that has carried it out, and moves the counts along. */
export async function storeVerdicts(
  session: Session,
  { runId, phase, request }: DecisionScope,
  by: string,
  verdicts: readonly Verdict[],
): Promise<void> {
  if (verdicts.length === 0) return;
  const records = verdicts.map(({ exception, status, note, value, seen }) => ({
    id: exception.id,
    status,
    note,
    value,
    seen,
  }));
  await session.query(
    `UPDATE cutover.exception AS e
        SET status = v.status, note = v.note, value = v.value, seen = coalesce(decode(v.seen, 'hex'), e.seen),
            decided_by = CASE WHEN v.status <> 'open' THEN $1 END,
            decided_at = CASE WHEN v.status <> 'open' THEN now() END,
            request = $2, revision = e.revision + 1, changed_in = pg_current_xact_id()
       FROM jsonb_to_recordset($3::jsonb) AS v(id bigint, status text, note text, value jsonb, seen text)
      WHERE e.id = v.id`,
    [by, request, storableJson(records)],
  );
  const moves = verdicts
    .filter(({ exception }) => exception.counted)
    .map(({ exception: { kind, status }, status: now }) => ({
      from: { kind, status },
      to: { kind, status: now },
    }));
  await moveCounts(session, runId, phase, moves);
}

/** What became of the exceptions that the request has dealt with, by status. */
export async function countDecided(
  session: Session,
  { runId, phase, request }: DecisionScope,
): Promise<Record<ExceptionStatus, number>> {
  const { rows } = await session.query<{ status: ExceptionStatus; rows: number }>(
    `SELECT status, count(*)::float8 AS rows FROM cutover.exception
      WHERE run_id = $1 AND phase = $2 AND request = $3 GROUP BY status`,
    [runId, phase, request],
  );
  const counts = Object.fromEntries(rows.map((row) => [row.status, row.rows]));
  return { open: 0, resolved: 0, replayed: 0, skipped: 0, ...counts };
}

/** The first exceptions that the request has dealt with and that are still open, and why. */
export async function selectLeft(
  session: Session,
  { runId, phase, request }: DecisionScope,
  limit: number,
): Promise<LeftException[]> {
  const { rows } = await session.query<LeftException>(
    `SELECT id::text, key, coalesce(note, reason) AS why FROM cutover.exception
      WHERE run_id = $1 AND phase = $2 AND request = $3 AND status = 'open'
      ORDER BY sort_key, exception.id LIMIT $4`,
    [runId, phase, request, limit],
  );
  return rows;
}

/** How many exceptions of these statuses meet the filter without a suggestion that could be accepted, and the first of them. */
export async function selectWithoutProposal(
  session: Session,
  { runId, phase }: DecisionScope,
  filter: ExceptionFilter,
  { statuses, limit }: Pick<Taking, 'statuses' | 'limit'>,
): Promise<{ rows: number; first: { id: string; key: Key }[] }> {
  const params = new Params();
  const conditions = [
    `run_id = ${params.add(runId)} AND phase = ${params.add(phase)}`,
    `status = ANY (${params.add(statuses)}) AND proposal IS NULL`,
    ...exceptionConditions({ ...filter, status: undefined }, params),
  ].join(' AND ');
  const { rows } = await session.query<{ id: string; key: Key; total: number }>(
    `SELECT id::text, key, count(*) OVER ()::float8 AS total FROM cutover.exception
      WHERE ${conditions} ORDER BY sort_key, exception.id LIMIT ${params.add(limit)}`,
    params.values,
  );
  return { rows: rows[0]?.total ?? 0, first: rows.map(({ id, key }) => ({ id, key })) };
}

export type PassedOver = {
  id: string;
  key: Key;
  status: ExceptionStatus;
  by: string | null;
  /** In UTC. */
  at: string | null;
};

/** Those of the ids that are exceptions of the phase and that the request has left alone, with who decided them. */
export async function selectPassedOver(
  session: Session,
  { runId, phase, request }: DecisionScope,
  ids: readonly string[],
): Promise<PassedOver[]> {
  const { rows } = await session.query<PassedOver>(
    `SELECT id::text, key, status, decided_by AS by, to_char(decided_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at
       FROM cutover.exception
      WHERE run_id = $1 AND phase = $2 AND request IS DISTINCT FROM $3 AND id = ANY ($4::bigint[])
      ORDER BY exception.id`,
    [runId, phase, request, ids],
  );
  return rows;
}

/** Which of the ids are exceptions of the phase. */
export async function selectKnown(
  session: Session,
  { runId, phase }: DecisionScope,
  ids: readonly string[],
): Promise<string[]> {
  const { rows } = await session.query<{ id: string }>(
    `SELECT id::text FROM cutover.exception WHERE run_id = $1 AND phase = $2 AND id = ANY ($3::bigint[])`,
    [runId, phase, ids],
  );
  return rows.map(({ id }) => id);
}

/** Closes exceptions about rows that undo had kept, and has restored after all. */
export async function closeKept(
  session: Session,
  runId: string,
  phase: string,
  keys: readonly Key[],
): Promise<void> {
  if (keys.length === 0) return;
  await session.query(
    `UPDATE cutover.exception
        SET status = 'replayed', note = 'restored by a later undo', decided_by = NULL, decided_at = now(),
            revision = revision + 1, changed_in = pg_current_xact_id()
      WHERE run_id = $1 AND phase = $2 AND key IN (SELECT jsonb_array_elements($3::jsonb))
        AND kind = 'kept' AND status = 'open'`,
    [runId, phase, storableJson(keys)],
  );
}

/** Opens exceptions again whose decision was taken back by undoing their rows. */
export async function reopenUndone(
  session: Session,
  runId: string,
  phase: string,
  keys: readonly Key[],
): Promise<void> {
  if (keys.length === 0) return;
  const { rows } = await session.query<{ kind: ExceptionKind; was: ExceptionStatus; counted: boolean }>(
    `WITH decided AS (
       SELECT id, status AS was FROM cutover.exception
        WHERE run_id = $1 AND phase = $2 AND key IN (SELECT jsonb_array_elements($3::jsonb))
          AND kind <> 'kept' AND status IN ('resolved', 'replayed')
          FOR UPDATE)
     UPDATE cutover.exception AS e
        SET status = 'open', note = 'what was decided was taken back by undoing the row', value = NULL, seen = NULL,
            decided_by = NULL, decided_at = NULL, revision = e.revision + 1, changed_in = pg_current_xact_id()
       FROM decided
      WHERE e.id = decided.id
     RETURNING e.kind, decided.was, e.counted`,
    [runId, phase, storableJson(keys)],
  );
  const moves = rows
    .filter(({ counted }) => counted)
    .map(({ kind, was }) => ({ from: { kind, status: was }, to: { kind, status: 'open' as const } }));
  await moveCounts(session, runId, phase, moves);
}
