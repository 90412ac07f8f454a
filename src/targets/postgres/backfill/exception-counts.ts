import {
  countedAs,
  type ExceptionKind,
  type ExceptionStatus,
  type Outcome,
} from '../../../domain/row-exception.ts';
import type { Session } from '../../target.ts';

type Standing = { kind: ExceptionKind; status: ExceptionStatus };

/** Moves counted rows of a backfill from one outcome to another; their sum stays as it is. */
export async function moveCounts(
  session: Session,
  runId: string,
  phase: string,
  moves: readonly { from: Standing; to: Standing }[],
): Promise<void> {
  const delta: Record<Outcome, number> = { migrated: 0, skipped: 0, ambiguous: 0, failed: 0 };
  for (const { from, to } of moves) {
    const [left, entered] = [countedAs(from), countedAs(to)];
    if (!left || !entered) continue;
    delta[left] -= 1;
    delta[entered] += 1;
  }
  if (Object.values(delta).every((rows) => rows === 0)) return;
  await session.query(
    `UPDATE cutover.checkpoint
        SET settled_migrated = settled_migrated + $3, settled_skipped = settled_skipped + $4,
            settled_ambiguous = settled_ambiguous + $5, settled_failed = settled_failed + $6, updated_at = now()
      WHERE run_id = $1 AND phase = $2`,
    [runId, phase, delta.migrated, delta.skipped, delta.ambiguous, delta.failed],
  );
}
