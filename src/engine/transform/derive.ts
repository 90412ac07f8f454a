import type { TextRow } from '../../targets/postgres/backfill/read-range.ts';
import type { BackfillColumn } from '../../targets/postgres/backfill/table.ts';
import type { Session } from '../../targets/target.ts';
import { breather } from './breather.ts';
import type { Transform } from './definition.ts';
import { type Derived, deriveRows } from './derive-rows.ts';
import { prefetch } from './prefetch.ts';
import type { TransformThreads } from './threads.ts';

export type { Derived };

/**
 * Runs the transform over the rows, in the session's transaction. No row can fail the batch; a failing prefetch does.
 * @throws TransformTooSlow when fewer rows may pass.
 */
export function derive(
  session: Session,
  transform: Transform,
  reads: readonly BackfillColumn[],
  written: readonly BackfillColumn[],
  rows: readonly TextRow[],
  threads?: TransformThreads,
): Promise<Derived[]> {
  if (threads) {
    return threads.deriveRows(transform, reads, written, rows, {
      signal: session.signal,
      transaction: (work) => work(session),
    });
  }
  return deriveRows(transform, reads, written, rows, {
    prefetch: (found) => prefetch(session, transform, found),
    between: breather(session.signal),
  });
}
