import type { ExceptionFilter } from '../../domain/row-exception.ts';
import { type Checkpoint, selectCheckpoint } from '../../targets/postgres/backfill/checkpoint.ts';
import { type RecordedException, selectExceptions } from '../../targets/postgres/backfill/exceptions.ts';
import type { Target } from '../../targets/target.ts';

export type { Checkpoint, RecordedException };

/** How far the phase is on the target; undefined when it never began there. */
export function readCheckpoint(
  target: Target,
  runId: string,
  phase: string,
): Promise<Checkpoint | undefined> {
  return target.transaction({ readOnly: true }, (session) => selectCheckpoint(session, runId, phase));
}

/**
 * Rows that the phase has set aside, in the order of their keys.
 * @param page `after` is the id of the last one seen, none for the first page.
 */
export function listExceptions(
  target: Target,
  runId: string,
  phase: string,
  page: { after?: string | undefined; limit: number; filter?: ExceptionFilter | undefined },
): Promise<RecordedException[]> {
  return target.transaction({ readOnly: true }, (session) => selectExceptions(session, runId, phase, page));
}
