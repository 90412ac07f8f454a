import { writingSession } from '../../targets/postgres/backfill/pin-session.ts';
import { describeTable } from '../../targets/postgres/catalog.ts';
import { retryForLock } from '../../targets/postgres/lock-retry.ts';
import { ensureOwnSchema } from '../../targets/postgres/own-schema.ts';
import { clearCaptured, readQueue } from '../../targets/postgres/sync/captured.ts';
import { removeTriggers } from '../../targets/postgres/sync/install.ts';
import { markRemoved, selectSync, takeSync } from '../../targets/postgres/sync/records.ts';
import { SYNC_TABLES } from '../../targets/postgres/sync/tables.ts';
import type { Session, Target } from '../../targets/target.ts';
import { wait } from '../backfill/wait.ts';
import { SliceClock, type SliceOptions } from '../job.ts';
import { drainBatch, drainContext, drainSync } from './drain.ts';
import { type LockOptions, lockPolicy } from './install.ts';
import type { SyncJob } from './job.ts';
import { rescanSync } from './rescan.ts';

/** So many changes may still wait when the table is locked for the last of them; that takes a fraction of a second. */
const LAST_NOTES = 500;
const BUSY_WAIT_MS = 200;

export type FinishOptions = LockOptions & Pick<SliceOptions, 'untilMs'>;

export type Finished = {
  done: boolean;
  /** Keys that were dealt with, in this call. */
  keys: number;
  /** Of those, rows that became exceptions. */
  failed: number;
};

/**
 * Ends a sync so that nothing it has captured is lost: derives what waits while the triggers go on, until little is left;
 * then locks the table, takes the triggers away, and derives the rest, in one transaction that commits only when nothing
 * waits any more. Call it again until it says `done`.
 * @throws the server's error when the lock was not free in as many attempts as the plan allows; the signal's reason.
 */
export async function finishSync(
  target: Target,
  job: SyncJob,
  options: FinishOptions = {},
): Promise<Finished> {
  const clock = new SliceClock();
  const total: Finished = { done: false, keys: 0, failed: 0 };
  const { limits, policy } = lockPolicy(job, options);
  for (;;) {
    const sync = await target.transaction({ ...limits, readOnly: true }, (session) =>
      selectSync(session, job.runId, job.phase.name),
    );
    if (!sync?.installed) return { ...total, done: true };
    if (await rescanSync(target, job, options)) {
      const drained = await drainSync(target, job, options);
      total.keys += drained.keys;
      total.failed += drained.failed;
      const prelude = writingSession({ runId: job.runId, phase: job.backfill.name });
      const last = await retryForLock(policy, () =>
        target.transaction({ ...limits, prelude }, (session) => finish(session, job)),
      );
      if (last) return { done: true, keys: total.keys + last.keys, failed: total.failed + last.failed };
    }
    if (clock.isOver(options)) return total;
    // Rows that somebody has locked for long are what may be left.
    await wait(BUSY_WAIT_MS, options.signal);
  }
}

/** Undefined when too much waits to be dealt with while nobody else gets at the table. */
async function finish(session: Session, job: SyncJob): Promise<{ keys: number; failed: number } | undefined> {
  await ensureOwnSchema(session, SYNC_TABLES);
  const sync = await takeSync(session, job.runId, job.phase.name);
  const context = await drainContext(session, job);
  const { waiting } = await readQueue(session, sync.id, LAST_NOTES);
  if (context && waiting > LAST_NOTES) return undefined;
  if (sync.table !== null && (await describeTable(session, sync.table))) {
    await session.query(`LOCK TABLE ${sync.table} IN ACCESS EXCLUSIVE MODE`);
  }
  await removeTriggers(session, job.runId, job.phase.name);
  const total = { keys: 0, failed: 0 };
  for (let left = true; context && left; ) {
    const batch = await drainBatch(session, job, context, '0');
    total.keys += batch.keys;
    total.failed += batch.failed;
    left = batch.last !== undefined;
  }
  // Without a backfill nothing was derived that could be out of date.
  if (!context) await clearCaptured(session, sync.id);
  const after = await readQueue(session, sync.id, 1);
  if (after.waiting > 0) throw new Error(`changes of ${job.backfill.table} were still being captured`);
  await markRemoved(session, sync);
  return total;
}

/**
 * Takes a sync away without regard to what it has captured, for a run that is undone. Nothing that it did to rows changes;
 * once it has returned, the sync writes nothing more.
 * @returns whether there was one.
 * @throws the server's error when the lock was not free in as many attempts as the plan allows; the signal's reason.
 */
export async function removeSync(target: Target, job: SyncJob, options: LockOptions = {}): Promise<boolean> {
  const { limits, policy } = lockPolicy(job, options);
  const known = await target.transaction({ ...limits, readOnly: true }, (session) =>
    selectSync(session, job.runId, job.phase.name),
  );
  return retryForLock(policy, () =>
    target.transaction(limits, async (session) => {
      await ensureOwnSchema(session, SYNC_TABLES);
      // Also without a record: an installation that is late finds that it was removed.
      const sync = await takeSync(session, job.runId, job.phase.name);
      await removeTriggers(session, job.runId, job.phase.name);
      await clearCaptured(session, sync.id);
      await markRemoved(session, sync);
      return known?.installed === true;
    }),
  );
}
