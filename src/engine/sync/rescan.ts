import { findUpperBound } from '../../targets/postgres/backfill/find-key.ts';
import { loadTable } from '../../targets/postgres/backfill/load-table.ts';
import { PINNED_SESSION } from '../../targets/postgres/backfill/pin-session.ts';
import { advanceRescan, holdSync } from '../../targets/postgres/sync/records.ts';
import { rescanBatch } from '../../targets/postgres/sync/rescan.ts';
import type { Target } from '../../targets/target.ts';
import { SliceClock, type SliceOptions } from '../job.ts';
import { type SyncJob, SyncNotInstalled } from './job.ts';

const BATCH_ROWS = 20_000;
const LIMITS = { lockTimeoutMs: 2_000, statementTimeoutMs: 120_000 };

/**
 * After triggers were missing: notes the keys of all rows that were written since they were last seen in place, so that a
 * drain derives them anew. Reads the whole table, in batches; goes on where it stopped.
 * @returns whether it is done; otherwise the time was up.
 * @throws SyncNotInstalled, the signal's reason, or the server's error.
 */
export async function rescanSync(target: Target, job: SyncJob, options: SliceOptions = {}): Promise<boolean> {
  const clock = new SliceClock();
  const transaction = { ...LIMITS, signal: options.signal, prelude: PINNED_SESSION };
  for (;;) {
    const done = await target.transaction(transaction, async (session) => {
      const sync = await holdSync(session, job.runId, job.phase.name);
      if (!sync?.installed) throw new SyncNotInstalled(job);
      if (sync.rescanFrom === null) return true;
      const { table: name, key } = job.backfill;
      const table = await loadTable(session, { table: name, key, columns: {} });
      // Whatever is inserted from now on is seen by the triggers.
      const upTo = await findUpperBound(session, table);
      const end = upTo && (await rescanBatch(session, table, sync, job.runId, upTo, BATCH_ROWS));
      const after = end && end.join('\0') !== upTo.join('\0') ? end : null;
      await advanceRescan(session, sync, after);
      return after === null;
    });
    if (done) return true;
    if (clock.isOver(options)) return false;
  }
}
