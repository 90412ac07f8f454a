import type { DriftKind } from '../../domain/drift.ts';
import { insertCaptured } from '../../targets/postgres/sync/captured.ts';
import { hasWork, selectSync } from '../../targets/postgres/sync/records.ts';
import type { Target } from '../../targets/target.ts';
import { wait } from '../backfill/wait.ts';
import { SliceClock, type SliceOptions } from '../job.ts';
import { checkSync, type Drift } from './check.ts';
import { drainSync } from './drain.ts';
import { installSync, type LockOptions } from './install.ts';
import type { SyncJob } from './job.ts';
import { rescanSync } from './rescan.ts';
import { noteChangedExceptions } from './set-aside.ts';

export type TendOptions = Pick<SliceOptions, 'untilMs'> &
  LockOptions & {
    /** Between two checks, in milliseconds. */
    intervalMs: number;
    /** Nothing is written to the table while the run is paused; what is wrong is still seen. */
    paused: boolean;
    /** Kinds of drift that are known, so that only news end the slice. */
    known: readonly DriftKind[];
    /** Whether what is found is put right. */
    repair: boolean;
    /** Hears that rows became exceptions. */
    onSetAside?: (() => Promise<void>) | undefined;
    sampleRows?: number | undefined;
    recheckMs?: number | undefined;
  };

export type Tended = {
  /** What the last check found; empty when all is well. */
  drifts: Omit<Drift, 'keys'>[];
  /** Keys that were derived. */
  drained: number;
  /** Of those, rows that became exceptions. */
  failed: number;
  /** Rows found wrong and derived anew, or on their way to be. */
  repaired: number;
};

/** Captured changes wait this long, about. */
const POLL_MS = 500;
/** A note that waits for so many checks shows that something is in the way. */
const CHECKS_WAITED = 10;
const LONGEST_WAIT_MS = 60_000;
const LOOK_MS = 2_000;

/**
 * Looks after an installed sync for a while: derives what was captured, at once, and checks it at the plan's interval.
 * @returns when the time is up, or a check finds something else than what is known.
 * @throws SyncNotInstalled, LocksNotFree, the signal's reason, or the server's error.
 */
export async function tendSync(target: Target, job: SyncJob, options: TendOptions): Promise<Tended> {
  const { signal, intervalMs, paused } = options;
  const clock = new SliceClock();
  const total: Tended = { drifts: [], drained: 0, failed: 0, repaired: 0 };
  for (let checkAt = 0; ; ) {
    const draining = !paused && (await drain(target, job, options, total));
    if (clock.elapsedMs() >= checkAt) {
      checkAt = clock.elapsedMs() + intervalMs;
      const drifts = await check(target, job, options, draining);
      total.drifts = drifts.map(({ kind, reason }) => ({ kind, reason }));
      if (options.repair && !paused) total.repaired += await repair(target, job, drifts, options);
      if (isNews(drifts, options.known)) return total;
    }
    if (clock.isOver(options)) return total;
    await wait(Math.min(POLL_MS, intervalMs), signal);
  }
}

/** Adds what it has done to the total; says whether there was something to do and it could be done. */
async function drain(
  target: Target,
  job: SyncJob,
  { signal, untilMs, onSetAside }: TendOptions,
  total: Tended,
): Promise<boolean> {
  if (!(await waits(target, job, signal))) return false;
  if (!(await rescanSync(target, job, { signal, untilMs }))) return false;
  const { begun, keys, failed } = await drainSync(target, job, { signal, untilMs });
  total.drained += keys;
  total.failed += failed;
  if (failed > 0) await onSetAside?.();
  return begun;
}

async function check(
  target: Target,
  job: SyncJob,
  options: TendOptions,
  draining: boolean,
): Promise<Drift[]> {
  if (!options.paused) await noteChangedExceptions(target, job, options.signal);
  const longestWaitMs = Math.max(LONGEST_WAIT_MS, CHECKS_WAITED * options.intervalMs);
  return checkSync(target, job, { ...options, draining, longestWaitMs });
}

function waits(target: Target, { runId, phase }: SyncJob, signal: AbortSignal | undefined): Promise<boolean> {
  return target.transaction({ lockTimeoutMs: LOOK_MS, signal, readOnly: true }, (session) =>
    hasWork(session, runId, phase.name),
  );
}

/** Puts the triggers back and has the rows derived anew by the next drain. @returns the number of those rows. */
async function repair(
  target: Target,
  job: SyncJob,
  drifts: readonly Drift[],
  options: LockOptions,
): Promise<number> {
  if (drifts.some(({ kind }) => kind === 'triggers')) await installSync(target, job, options);
  const keys = drifts.flatMap((drift) => drift.keys);
  if (keys.length === 0) return 0;
  await target.transaction({ lockTimeoutMs: LOOK_MS, signal: options.signal }, async (session) => {
    const sync = await selectSync(session, job.runId, job.phase.name);
    if (sync) await insertCaptured(session, sync.id, job.runId, keys);
  });
  return keys.length;
}

function isNews(drifts: readonly Drift[], known: readonly DriftKind[]): boolean {
  return drifts.map(({ kind }) => kind).join() !== known.join();
}
