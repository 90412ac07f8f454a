import { sortableKey } from '../../../domain/key-order.ts';
import type { ExceptionFilter, ExceptionKind, ExceptionStatus } from '../../../domain/row-exception.ts';
import { storableJson } from '../../../domain/storable.ts';
import type { Session } from '../../target.ts';
import { hasOwnTables } from './checkpoint.ts';
import { moveCounts } from './exception-counts.ts';
import { Params } from './sql.ts';
import type { Key } from './table.ts';
import { QUESTION } from './tables.ts';

export type { ExceptionKind };

/** A row that was set aside. */
export type RowException = {
  key: Key;
  kind: ExceptionKind;
  /** In words, for a person who has to decide. */
  reason: string;
  /** What the transform would have written, had it been sure. */
  suggestion?: unknown;
  /** The same as text by column; undefined where it cannot be written as it is. */
  proposal?: Record<string, string | null> | undefined;
  /** Set when the database refused the row. */
  sqlstate?: string | undefined;
  message?: string | undefined;
  /** Values, as text by column, that the database refused. */
  attempted?: Record<string, string | null> | undefined;
};

/** What is recorded of it beside. */
export type ExceptionEvidence = {
  statement?: string | undefined;
  parameters?: unknown[] | undefined;
  /** Digest of what a decision depends on, in hexadecimal digits. */
  seen?: string | undefined;
};

export type RecordedException = {
  /** Rises in the order of recording; a decimal number. */
  id: string;
  key: Key;
  /** Sorts as the keys do. */
  sortKey: string;
  kind: ExceptionKind;
  reason: string;
  suggestion: unknown;
  /** Can the suggestion be accepted as it is? */
  acceptable: boolean;
  sqlstate: string | null;
  message: string | null;
  statement: string | null;
  parameters: unknown[] | null;
  status: ExceptionStatus;
  note: string | null;
  /** Written values by column. */
  value: Record<string, unknown> | null;
  decidedBy: string | null;
  decidedAt: Date | null;
  /** Rises with each change of the record. */
  revision: number;
  createdAt: Date;
};

export const EXCEPTION_COLUMNS = `
  id::text, key, sort_key AS "sortKey", kind, reason, suggestion, proposal IS NOT NULL AS acceptable, sqlstate, message,
  statement, parameters, status, note, value, decided_by AS "decidedBy", revision,
  extract(epoch FROM decided_at)::float8 * 1000 AS "decidedAt", extract(epoch FROM created_at)::float8 * 1000 AS "createdAt"`;

/** As selected: the text of a timestamp depends on the role's settings, its number does not. */
export type ExceptionRow = Omit<RecordedException, 'decidedAt' | 'createdAt'> & {
  decidedAt: number | null;
  createdAt: number;
};

export function asRecorded<R extends ExceptionRow>({ decidedAt, createdAt, ...rest }: R) {
  return {
    ...rest,
    decidedAt: decidedAt === null ? null : new Date(decidedAt),
    createdAt: new Date(createdAt),
  };
}

const MAX_TEXT = 2_000;

/**
 * Records the rows in the transaction that deals with them; one that is recorded again is replaced, and open again. A row
 * that is still as it was when somebody decided about it stays decided.
 * @param options `counted` says that the transaction counts these rows as part of the backfill's range; otherwise those that
 * were counted before are moved to where they belong now.
 */
export async function insertExceptions(
  session: Session,
  runId: string,
  phase: string,
  exceptions: readonly (RowException & ExceptionEvidence)[],
  { counted = false }: { counted?: boolean } = {},
): Promise<void> {
  if (exceptions.length === 0) return;
  const records = exceptions.map(({ attempted: _, reason, message, ...rest }) => ({
    ...rest,
    sort_key: sortableKey(rest.key),
    reason: reason.slice(0, MAX_TEXT),
    message: message?.slice(0, MAX_TEXT),
  }));
  const keys = exceptions.map(({ key }) => key);
  const before = counted ? [] : await selectCounted(session, runId, phase, keys);
  const { rows: stored } = await session.query<{ key: Key; kind: ExceptionKind }>(UPSERT, [
    runId,
    phase,
    storableJson(records),
    counted,
  ]);
  const now = new Map(stored.map(({ key, kind }) => [JSON.stringify(key), kind]));
  const moves = before.flatMap(({ key, ...was }) => {
    const kind = now.get(JSON.stringify(key));
    return kind ? [{ from: was, to: { kind, status: 'open' as const } }] : [];
  });
  await moveCounts(session, runId, phase, moves);
}

const UPSERT = `
  INSERT INTO cutover.exception AS e (run_id, phase, key, sort_key, kind, reason, suggestion, proposal, sqlstate, message,
                                      statement, parameters, seen, counted)
  SELECT $1, $2, key, sort_key, kind, reason, suggestion, proposal, sqlstate, message, statement, parameters,
         decode(seen, 'hex'), $4::boolean
    FROM jsonb_to_recordset($3::jsonb)
      AS given(key jsonb, sort_key text, kind text, reason text, suggestion jsonb, proposal jsonb, sqlstate text,
               message text, statement text, parameters jsonb, seen text)
  ON CONFLICT (run_id, phase, key, ${QUESTION}) DO UPDATE
     SET kind = excluded.kind, reason = excluded.reason, suggestion = excluded.suggestion,
         proposal = excluded.proposal, sqlstate = excluded.sqlstate, message = excluded.message,
         statement = excluded.statement, parameters = excluded.parameters, seen = excluded.seen,
         counted = e.counted OR excluded.counted, status = 'open', note = NULL, value = NULL, decided_by = NULL,
         decided_at = NULL, revision = e.revision + 1, changed_in = pg_current_xact_id(), created_at = excluded.created_at
   WHERE (e.status <> 'open' AND e.seen = excluded.seen) IS NOT TRUE
  RETURNING key, kind`;

async function selectCounted(
  session: Session,
  runId: string,
  phase: string,
  keys: readonly Key[],
): Promise<{ key: Key; kind: ExceptionKind; status: ExceptionStatus }[]> {
  const { rows } = await session.query<{ key: Key; kind: ExceptionKind; status: ExceptionStatus }>(
    `SELECT key, kind, status FROM cutover.exception
      WHERE run_id = $1 AND phase = $2 AND counted AND key IN (SELECT jsonb_array_elements($3::jsonb))
        FOR UPDATE`,
    [runId, phase, storableJson(keys)],
  );
  return rows;
}

/** Recorded rows in the order of their keys, of which `after` is the id of the last one seen. */
export async function selectExceptions(
  session: Session,
  runId: string,
  phase: string,
  {
    after,
    limit,
    filter = {},
  }: { after?: string | undefined; limit: number; filter?: ExceptionFilter | undefined },
): Promise<RecordedException[]> {
  if (!(await hasOwnTables(session))) return [];
  const params = new Params();
  const conditions = [
    `run_id = ${params.add(runId)} AND phase = ${params.add(phase)}`,
    ...exceptionConditions(filter, params),
    ...(after === undefined
      ? []
      : [`(sort_key, id) > (SELECT sort_key, id FROM cutover.exception WHERE id = ${params.add(after)})`]),
  ];
  const { rows } = await session.query<ExceptionRow>(
    `SELECT ${EXCEPTION_COLUMNS} FROM cutover.exception
      WHERE ${conditions.join(' AND ')}
      ORDER BY sort_key, exception.id
      LIMIT ${params.add(limit)}`,
    params.values,
  );
  return rows.map(asRecorded);
}

/** The filter's conditions. */
export function exceptionConditions(filter: ExceptionFilter, params: Params): string[] {
  const conditions: string[] = [];
  if (filter.ids) conditions.push(`id = ANY (${params.add(filter.ids)}::bigint[])`);
  if (filter.kind) conditions.push(`kind = ${params.add(filter.kind)}`);
  if (filter.status) conditions.push(`status = ${params.add(filter.status)}`);
  if (filter.reason) conditions.push(`reason = ${params.add(filter.reason)}`);
  if (filter.reasonContains) conditions.push(`strpos(reason, ${params.add(filter.reasonContains)}) > 0`);
  if (filter.sqlstate) conditions.push(`sqlstate = ${params.add(filter.sqlstate)}`);
  return conditions;
}

/** How many exceptions of the run nobody has decided about yet, by phase and kind. */
export async function countOpen(
  session: Session,
  runId: string,
): Promise<{ phase: string; kind: ExceptionKind; rows: number }[]> {
  if (!(await hasOwnTables(session))) return [];
  const { rows } = await session.query<{ phase: string; kind: ExceptionKind; rows: number }>(
    `SELECT phase, kind, count(*)::float8 AS rows FROM cutover.exception
      WHERE run_id = $1 AND status = 'open' GROUP BY phase, kind ORDER BY phase, kind`,
    [runId],
  );
  return rows;
}
