import { storableJson } from '../../../domain/storable.ts';
import type { Session } from '../../target.ts';
import { hasOwnTables } from './checkpoint.ts';
import type { Key } from './table.ts';

/**
 * Why a row was set aside: the transform could not decide, the row could not be migrated, or undo left it as it is
 * because it changed since it was migrated.
 */
export type ExceptionKind = 'ambiguous' | 'failed' | 'kept';

/** A row that was set aside. */
export type RowException = {
  key: Key;
  kind: ExceptionKind;
  /** In words, for a person who has to decide. */
  reason: string;
  /** What the transform would have written, had it been sure. */
  suggestion?: unknown;
  /** Set when the database refused the row. */
  sqlstate?: string | undefined;
  message?: string | undefined;
};

export type RecordedException = {
  /** Rises in the order of recording; a decimal number. */
  id: string;
  key: Key;
  kind: ExceptionKind;
  reason: string;
  suggestion: unknown;
  sqlstate: string | null;
  message: string | null;
  createdAt: Date;
};

const MAX_TEXT = 2_000;

/** Records the rows in the transaction that deals with them; one that is recorded again is replaced. */
export async function insertExceptions(
  session: Session,
  runId: string,
  phase: string,
  exceptions: readonly RowException[],
): Promise<void> {
  if (exceptions.length === 0) return;
  const records = exceptions.map(({ reason, message, ...rest }) => ({
    ...rest,
    reason: reason.slice(0, MAX_TEXT),
    message: message?.slice(0, MAX_TEXT),
  }));
  await session.query(
    `INSERT INTO cutover.exception (run_id, phase, key, kind, reason, suggestion, sqlstate, message)
     SELECT $1, $2, key, kind, reason, suggestion, sqlstate, message
       FROM jsonb_to_recordset($3::jsonb)
         AS given(key jsonb, kind text, reason text, suggestion jsonb, sqlstate text, message text)
     ON CONFLICT (run_id, phase, key, kind) DO UPDATE
        SET reason = excluded.reason, suggestion = excluded.suggestion, sqlstate = excluded.sqlstate,
            message = excluded.message, created_at = excluded.created_at`,
    [runId, phase, storableJson(records)],
  );
}

/** Recorded rows in the order of their ids, of which `after` is the last one seen. */
export async function selectExceptions(
  session: Session,
  runId: string,
  phase: string,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<RecordedException[]> {
  if (!(await hasOwnTables(session))) return [];
  const { rows } = await session.query<RecordedException>(
    `SELECT id::text, key, kind, reason, suggestion, sqlstate, message, created_at AS "createdAt"
       FROM cutover.exception
      WHERE run_id = $1 AND phase = $2 AND id > $3
      ORDER BY exception.id
      LIMIT $4`,
    [runId, phase, after ?? '0', limit],
  );
  return rows;
}
