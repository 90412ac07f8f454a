import type { ControlDb } from '../db/control-db.ts';
import { exceptionsSeen, markExceptionsSeen, storeExceptions } from '../db/exceptions.ts';
import { type ChangePlace, selectChangedExceptions } from '../targets/postgres/backfill/exception-changes.ts';
import type { RecordedException } from '../targets/postgres/backfill/exceptions.ts';
import type { Target } from '../targets/target.ts';
import { recorded } from './records.ts';

const PAGE = 1_000;

/**
 * Copies to the control database what was recorded or changed of a phase's exceptions since the last time. From then on it
 * answers for them, without a connection to the target.
 */
export async function copyExceptions(
  db: ControlDb,
  target: Target,
  { runId, phase }: { runId: string; phase: string },
): Promise<void> {
  const from = await recorded(exceptionsSeen(db, runId, phase));
  let after: ChangePlace | undefined;
  let seen: string | undefined;
  for (;;) {
    const { changed, seenUntil } = await target.transaction({ readOnly: true }, (session) =>
      selectChangedExceptions(session, runId, phase, { from, after, limit: PAGE }),
    );
    // What changes while pages are read has a later number than when the first was.
    seen ??= seenUntil;
    await recorded(
      storeExceptions(
        db,
        changed.map((exception) => copyOf(runId, phase, exception)),
      ),
    );
    after = changed.at(-1);
    if (changed.length < PAGE) break;
  }
  if (seen !== from) await recorded(markExceptionsSeen(db, runId, phase, seen));
}

function copyOf(runId: string, phase: string, { id, key, createdAt, ...told }: RecordedException) {
  return {
    ...told,
    runId,
    phase,
    exceptionId: Number(id),
    key: JSON.stringify(key),
    recordedAt: createdAt,
  };
}
