import { PINNED_SESSION } from '../../targets/postgres/backfill/pin-session.ts';
import { readDigests } from '../../targets/postgres/backfill/row-digests.ts';
import { insertCaptured } from '../../targets/postgres/sync/captured.ts';
import { sampleOpenExceptions } from '../../targets/postgres/sync/open-exceptions.ts';
import { selectSync } from '../../targets/postgres/sync/records.ts';
import type { Target } from '../../targets/target.ts';
import { readContext } from '../backfill/context.ts';
import { columnsThatMatter } from '../exceptions/record.ts';
import { backfillOf, type SyncJob } from './job.ts';

const ROWS = 200;
const LIMITS = { lockTimeoutMs: 2_000, statementTimeoutMs: 60_000 };

/**
 * Notes keys of rows that were set aside and are other now, or gone, so that a drain looks at them again. Without triggers
 * that note every change nobody else would: a row that the application has put right would stay an exception.
 */
export async function noteChangedExceptions(
  target: Target,
  job: SyncJob,
  signal: AbortSignal | undefined,
): Promise<void> {
  await target.transaction({ ...LIMITS, signal, prelude: PINNED_SESSION }, async (session) => {
    const sync = await selectSync(session, job.runId, job.phase.name);
    const context = await readContext(session, backfillOf(job));
    if (!sync?.installed || !context) return;
    const open = await sampleOpenExceptions(session, job.runId, job.backfill.name, ROWS);
    if (open.length === 0) return;
    const keys = open.map(({ key }) => key);
    const present = await readDigests(session, context.table, columnsThatMatter(context), keys, false);
    const now = new Map(present.map(({ key, digest }) => [JSON.stringify(key), digest]));
    const changed = open.filter(({ key, seen }) => now.get(JSON.stringify(key)) !== seen);
    await insertCaptured(
      session,
      sync.id,
      job.runId,
      changed.map(({ key }) => key),
    );
  });
}
