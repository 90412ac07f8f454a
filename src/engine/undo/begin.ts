import {
  type Checkpoint,
  pinUndo,
  selectCheckpoint,
  takeUndo,
} from '../../targets/postgres/backfill/checkpoint.ts';
import { countToRestore } from '../../targets/postgres/backfill/journalled.ts';
import type { Session, Target } from '../../targets/target.ts';
import { type BackfillJob, batchOptions, type SliceOptions } from '../job.ts';
import { type UndoContext, undoContext, undoPrelude } from './context.ts';

/** Counting this many takes about two seconds. Where there are more, it is good enough to know how many were migrated. */
const COUNTED_ROWS = 5_000_000;

export type BegunUndo = {
  checkpoint: Checkpoint;
  context: UndoContext;
  /** Rows that there are, or were, to restore; about so many where it is not `exact`. */
  rows: number;
  exact: boolean;
};

/**
 * Takes the backfill over, forward for good no more, and finds out how many rows there are to restore; or finds that begun.
 * @returns undefined when there is nothing to undo: the backfill never began, or its plan keeps no way back.
 */
export async function beginUndo(
  target: Target,
  job: BackfillJob,
  options: SliceOptions = {},
): Promise<BegunUndo | undefined> {
  return target.transaction({ ...batchOptions(options), prelude: undoPrelude(job) }, async (session) => {
    const before = await selectCheckpoint(session, job.runId, job.phase.name);
    if (!before) return undefined;
    const first = await takeUndo(session, before);
    if (!before.pinned || job.phase.undo.kind === 'none') return undefined;
    if (first) await pinUndo(session, before, (await countJournalled(session, before)).rows);
    const checkpoint = await selectCheckpoint(session, job.runId, job.phase.name);
    if (!checkpoint) return undefined;
    const rows = checkpoint.undoRows ?? 0;
    return {
      checkpoint,
      context: await undoContext(session, job, checkpoint),
      rows,
      exact: rows <= COUNTED_ROWS,
    };
  });
}

/** How many rows there are to restore; `exact` unless there are so many that counting them would take long. */
export async function countJournalled(
  session: Session,
  checkpoint: Checkpoint,
): Promise<{ rows: number; exact: boolean }> {
  const { id, counts, restored, kept } = checkpoint;
  const counted = await countToRestore(session, id, COUNTED_ROWS + 1);
  if (counted <= COUNTED_ROWS) return { rows: counted, exact: true };
  return { rows: Math.max(counted, counts.migrated - restored - kept), exact: false };
}
