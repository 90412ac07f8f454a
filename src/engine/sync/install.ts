import { durationMs } from '../../domain/duration.ts';
import { isLockFailure, type LockRetry, retryForLock } from '../../targets/postgres/lock-retry.ts';
import { ensureOwnSchema } from '../../targets/postgres/own-schema.ts';
import { installTriggers, versionsOf } from '../../targets/postgres/sync/install.ts';
import {
  beginRescan,
  markInstalled,
  type SyncRecord,
  takeSync,
} from '../../targets/postgres/sync/records.ts';
import { SYNC_TABLES } from '../../targets/postgres/sync/tables.ts';
import { readTriggers, type TriggerState } from '../../targets/postgres/sync/trigger-state.ts';
import type { Session, Target } from '../../targets/target.ts';
import { defineSync } from './define.ts';
import { LocksNotFree, type SyncJob, SyncNotInstalled } from './job.ts';

export type LockOptions = {
  signal?: AbortSignal | undefined;
  /** Hears of each attempt that did not get its lock. */
  onRetry?: ((retry: LockRetry) => void) | undefined;
  /** Evenly distributed in [0, 1); given by tests. */
  random?: (() => number) | undefined;
};

/** `kept` is what an earlier attempt had installed; `mended` is what somebody has taken away or disabled since. */
export type Installed = 'new' | 'kept' | 'mended';

/**
 * Puts the sync on the target, in one transaction, which waits for its lock no longer than the plan says and is tried again
 * as often as it says. May be called again at any time: what is in order stays as it is, and what is not is mended; then the
 * rows that were written meanwhile are looked for by {@link rescanSync}.
 * @throws LocksNotFree, SyncNotInstalled when it was removed meanwhile, Error with what keeps it from being installed, or the
 * signal's reason.
 */
export async function installSync(
  target: Target,
  job: SyncJob,
  options: LockOptions = {},
): Promise<Installed> {
  const { limits, policy } = lockPolicy(job, options);
  try {
    await retryForLock(policy, () =>
      target.transaction(limits, (session) => ensureOwnSchema(session, SYNC_TABLES)),
    );
    return await retryForLock(policy, () => target.transaction(limits, (session) => install(session, job)));
  } catch (error) {
    if (!options.signal?.aborted && isLockFailure(error)) throw new LocksNotFree(job, error);
    throw error;
  }
}

/** How the locks of a sync are waited for. */
export function lockPolicy({ phase }: Pick<SyncJob, 'phase'>, { signal, onRetry, random }: LockOptions) {
  const lockTimeoutMs = durationMs(phase.lockTimeout);
  const limits = { lockTimeoutMs, signal };
  return { limits, policy: { ...limits, lockAttempts: phase.lockAttempts, onRetry, random } };
}

async function install(session: Session, job: SyncJob): Promise<Installed> {
  await ensureOwnSchema(session, SYNC_TABLES);
  const record = await takeSync(session, job.runId, job.phase.name);
  if (record.removed) throw new SyncNotInstalled(job);
  if (job.phase.mode === 'application') {
    await markInstalled(session, record, { table: null, triggers: [], versions: [] });
    return record.installed ? 'kept' : 'new';
  }
  const definition = await defineSync(session, job, record.id);
  if (record.installed) {
    const triggers = await readTriggers(session, definition.table.qualifiedName, record.triggers);
    if (triggerFaults(record, triggers).length === 0) return 'kept';
    await beginRescan(session, record, record.seenUntil ?? '0');
  }
  await markInstalled(session, record, await installTriggers(session, definition));
  return record.installed ? 'mended' : 'new';
}

/** In words, what is wrong with the triggers of an installed sync. */
export function triggerFaults(record: SyncRecord, triggers: readonly TriggerState[]): string[] {
  if (record.triggers.length > 0 && triggers.length === 0) return [`the table ${record.table} is gone`];
  const faults = triggers
    .filter(({ state }) => state !== 'enabled')
    .map(({ name, relation, state }) => `the trigger ${name} on ${relation} is ${state}`);
  if (faults.length > 0) return faults;
  const touched = versionsOf(triggers).join() !== record.versions.join();
  return touched ? [`somebody has altered or disabled the triggers on ${record.table} for a while`] : [];
}
