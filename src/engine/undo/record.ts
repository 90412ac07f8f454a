import { insertExceptions } from '../../targets/postgres/backfill/exceptions.ts';
import { setAside } from '../../targets/postgres/backfill/journalled.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import type { Session } from '../../targets/target.ts';
import type { BackfillJob } from '../job.ts';
import type { UndoContext } from './context.ts';
import type { PutBack } from './put-back.ts';

/** Notes the rows that were left as they are, in the transaction that has left them so; those that are kept are listed. */
export async function recordLeft(
  session: Session,
  { runId, phase }: BackfillJob,
  context: UndoContext,
  { kept, later }: Pick<PutBack, 'kept' | 'later'>,
): Promise<void> {
  await setAside(session, context, keysOf(later), 'retry');
  await setAside(session, context, keysOf(kept), 'kept');
  await insertExceptions(session, runId, phase.name, kept);
}

export function keysOf(rows: readonly { key: Key }[]): Key[] {
  return rows.map(({ key }) => key);
}
