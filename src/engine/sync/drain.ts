import { storeVerdicts } from '../../targets/postgres/backfill/exception-decisions.ts';
import { writingSession } from '../../targets/postgres/backfill/pin-session.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import {
  type Captured,
  compactCaptured,
  deleteCaptured,
  readQueue,
  takeCaptured,
} from '../../targets/postgres/sync/captured.ts';
import { deleteCopies } from '../../targets/postgres/sync/copies.ts';
import type { CopyWork } from '../../targets/postgres/sync/definition.ts';
import { lockRows } from '../../targets/postgres/sync/lock-rows.ts';
import { takeOpenExceptions } from '../../targets/postgres/sync/open-exceptions.ts';
import { holdSync } from '../../targets/postgres/sync/records.ts';
import type { Session, Target } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { readContext } from '../backfill/context.ts';
import { migrateRows } from '../backfill/migrate.ts';
import { wait } from '../backfill/wait.ts';
import { isStatementTimeout, isTransient } from '../errors.ts';
import { recordExceptions } from '../exceptions/record.ts';
import { replay } from '../exceptions/replay.ts';
import { SliceClock, type SliceOptions } from '../job.ts';
import { copyWork } from './define.ts';
import { backfillOf, type SyncJob, SyncNotInstalled } from './job.ts';

/** Rows that the application cannot write while a batch of them is derived. */
const BATCH_KEYS = 500;
/**
 * Shorter than PostgreSQL's deadlock_timeout of a second: should a batch and the application ever wait for each other, it is
 * the batch that gives up.
 */
const LOCK_TIMEOUT_MS = 500;
const STATEMENT_TIMEOUT_MS = 120_000;
const FAULTS_IN_A_ROW = 5;
const FAULT_WAIT_MS = 50;
/** Up to here nobody minds notes of the same key. */
const UNCOMPACTED_NOTES = 10_000;

export type Drained = {
  /** False when the backfill has not begun: the notes wait for it, and it deals with most of their rows itself. */
  begun: boolean;
  /** Keys that were dealt with. */
  keys: number;
  /** Of those, rows that became exceptions. */
  failed: number;
  /** Keys that stay noted, because somebody has their rows locked. */
  busy: number;
  /** Every note was seen that was there at the beginning; otherwise the time was up. */
  passed: boolean;
};

/** What a drain works with; undefined when the backfill has not begun. */
export type DrainContext = { batch: BatchContext; copies: CopyWork | undefined };

/**
 * Derives the rows whose keys were captured, in batches, each with its notes in one transaction; passes once over the notes.
 * Never waits for a row that somebody has locked, and loses no change: each has a note of its own.
 * @throws SyncNotInstalled, the signal's reason, or the server's error.
 */
export async function drainSync(target: Target, job: SyncJob, options: SliceOptions = {}): Promise<Drained> {
  const clock = new SliceClock();
  const total: Drained = { begun: true, keys: 0, failed: 0, busy: 0, passed: false };
  const { sync, context } = await target.transaction(drainOptions(options), async (session) => ({
    sync: await held(session, job),
    context: await drainContext(session, job),
  }));
  if (!context) {
    await compact(target, sync, options);
    return { ...total, begun: false, passed: true };
  }
  const pace = new BatchPace(options.signal);
  for (let after = '0'; ; ) {
    const batch = await pace.run((limit) =>
      target.transaction(
        { ...drainOptions(options), prelude: writingSession({ runId: job.runId, phase: job.backfill.name }) },
        (session) => drainBatch(session, job, context, after, limit),
      ),
    );
    if (!batch) continue;
    total.keys += batch.keys;
    total.failed += batch.failed;
    total.busy += batch.busy;
    if (batch.last === undefined) return { ...total, passed: true };
    after = batch.last;
    if (clock.isOver(options)) return total;
  }
}

function drainOptions({ signal }: SliceOptions) {
  return { signal, lockTimeoutMs: LOCK_TIMEOUT_MS, statementTimeoutMs: STATEMENT_TIMEOUT_MS };
}

export async function drainContext(session: Session, job: SyncJob): Promise<DrainContext | undefined> {
  const batch = await readContext(session, backfillOf(job));
  if (!batch) return undefined;
  const { transform } = job.backfill;
  const copies = transform.kind === 'insert' ? await copyWork(session, batch.table, transform) : undefined;
  return { batch, copies };
}

/**
 * Deals with the oldest notes beyond `after`, in the session's transaction.
 * @returns the last note that was looked at; undefined when there are no more.
 */
export async function drainBatch(
  session: Session,
  job: SyncJob,
  { batch, copies }: DrainContext,
  after: string,
  limit = BATCH_KEYS,
): Promise<{ keys: number; failed: number; busy: number; last: string | undefined }> {
  const sync = await held(session, job);
  const notes = await takeCaptured(session, sync, after, limit);
  const { locked, busy, gone } = await lockRows(session, batch.table, keysOf(notes));
  const again = await deriveSetAside(session, job, batch, [...locked, ...gone]);
  const fresh = locked.filter((key) => !again.keys.has(idOf(key)));
  const failed = again.failed + (await deriveFresh(session, job, batch, fresh));
  if (copies?.mirrors && gone.length > 0) await deleteCopies(session, batch.table, copies, gone);
  const left = new Set(busy.map(idOf));
  const settled = notes.filter(({ key }) => !left.has(idOf(key)));
  await deleteCaptured(
    session,
    sync,
    settled.map(({ id }) => id),
  );
  return {
    keys: locked.length + gone.length,
    failed,
    busy: busy.length,
    last: notes.length < limit ? undefined : notes.at(-1)?.id,
  };
}

/** @returns how many became exceptions. */
async function deriveFresh(
  session: Session,
  { runId, backfill }: SyncJob,
  batch: BatchContext,
  keys: readonly Key[],
): Promise<number> {
  if (keys.length === 0) return 0;
  const { exceptions } = await migrateRows(session, batch, { keys });
  await recordExceptions(session, batch, { runId, phase: backfill.name }, exceptions, { counted: false });
  return exceptions.length;
}

/** Rows that were set aside, and that the application has written since, may be such that the transform can decide now. */
async function deriveSetAside(
  session: Session,
  job: SyncJob,
  batch: BatchContext,
  keys: readonly Key[],
): Promise<{ keys: Set<string>; failed: number }> {
  const backfill = backfillOf(job);
  const taken = await takeOpenExceptions(session, job.runId, backfill.phase.name, keys);
  if (taken.length === 0) return { keys: new Set(), failed: 0 };
  const verdicts = await replay(session, backfill, batch, taken);
  const scope = { runId: job.runId, phase: backfill.phase.name, request: `sync ${job.phase.name}` };
  await storeVerdicts(session, scope, 'cutover', verdicts);
  return {
    keys: new Set(taken.map(({ key }) => idOf(key))),
    failed: verdicts.filter(({ status }) => status === 'open').length,
  };
}

/** The sync's number; it is not removed before the transaction ends. @throws SyncNotInstalled */
async function held(session: Session, job: SyncJob): Promise<string> {
  const sync = await holdSync(session, job.runId, job.phase.name);
  if (!sync?.installed) throw new SyncNotInstalled(job);
  return sync.id;
}

async function compact(target: Target, sync: string, options: SliceOptions): Promise<void> {
  await target.transaction(drainOptions(options), async (session) => {
    const { waiting } = await readQueue(session, sync, UNCOMPACTED_NOTES);
    if (waiting > UNCOMPACTED_NOTES) await compactCaptured(session, sync);
  });
}

/** Each key once, as the oldest notes have them. */
function keysOf(notes: readonly Captured[]): Key[] {
  return [...new Map(notes.map(({ key }) => [idOf(key), key])).values()];
}

function idOf(key: Key): string {
  return JSON.stringify(key);
}

/** Runs batches as large as they may be, again after faults that pass. */
class BatchPace {
  readonly #signal: AbortSignal | undefined;
  #limit = BATCH_KEYS;
  #faults = 0;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Undefined when nothing was done and it is worth trying again. */
  async run<T>(batch: (limit: number) => Promise<T>): Promise<T | undefined> {
    try {
      const result = await batch(this.#limit);
      this.#faults = 0;
      return result;
    } catch (error) {
      this.#signal?.throwIfAborted();
      this.#faults += 1;
      const tooLarge = isStatementTimeout(error) && this.#limit > 1;
      if (!(tooLarge || (isTransient(error) && this.#faults < FAULTS_IN_A_ROW))) throw error;
      if (tooLarge) this.#limit = Math.ceil(this.#limit / 4);
      else await wait(FAULT_WAIT_MS * 2 ** this.#faults * (0.5 + Math.random()), this.#signal);
      return undefined;
    }
  }
}
