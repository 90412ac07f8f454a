import type { DriftKind } from '../../domain/drift.ts';
import { selectCheckpoint } from '../../targets/postgres/backfill/checkpoint.ts';
import { PINNED_SESSION } from '../../targets/postgres/backfill/pin-session.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import { describeTable } from '../../targets/postgres/catalog.ts';
import { readQueue } from '../../targets/postgres/sync/captured.ts';
import { listOpenRanges } from '../../targets/postgres/sync/open-ranges.ts';
import {
  currentTransaction,
  markSeen,
  type SyncRecord,
  selectSync,
} from '../../targets/postgres/sync/records.ts';
import { sampleKeys } from '../../targets/postgres/sync/sample-keys.ts';
import { readTriggers } from '../../targets/postgres/sync/trigger-state.ts';
import { comparedColumns } from '../../targets/postgres/verify/comparison.ts';
import { listExcuses } from '../../targets/postgres/verify/excuses.ts';
import type { Session, Target } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { readContext } from '../backfill/context.ts';
import { wait } from '../backfill/wait.ts';
import { isRowError } from '../errors.ts';
import { compareWithTransform, type Finding } from '../verify/compare.ts';
import { triggerFaults } from './install.ts';
import { backfillOf, type SyncJob, SyncNotInstalled } from './job.ts';

/** Something that keeps the sync from doing its work, or a sign that it did not. */
export type Drift = {
  kind: DriftKind;
  /** In words, with up to a few keys. */
  reason: string;
  /** Rows that differ from what their transform makes of them. */
  keys: Key[];
};

export type CheckOptions = {
  signal?: AbortSignal | undefined;
  /** Whether the notes are being dealt with, so that a long queue means something. */
  draining: boolean;
  /** For how long a note may wait, in milliseconds. */
  longestWaitMs: number;
  /** Rows of each kind that are compared: of random pages, youngest, highest. */
  sampleRows?: number | undefined;
  /** Between the two looks at a row that differs. */
  recheckMs?: number | undefined;
};

const SAMPLE_ROWS = 250;
const RECHECK_MS = 1_000;
const KEYS_SHOWN = 5;
const LIMITS = { lockTimeoutMs: 2_000, statementTimeoutMs: 60_000 };

/**
 * Looks whether the sync still does its work: whether its triggers are there and were so all the time, whether its queue
 * gets shorter, and whether rows that it is answerable for are what their transform makes of them. Reads a bounded number of
 * rows, and locks none.
 * @throws SyncNotInstalled, the signal's reason, or the server's error.
 */
export async function checkSync(target: Target, job: SyncJob, options: CheckOptions): Promise<Drift[]> {
  const { signal } = options;
  const drifts = await target.transaction({ ...LIMITS, signal }, async (session) => {
    const record = await selectSync(session, job.runId, job.phase.name);
    if (!record?.installed) throw new SyncNotInstalled(job);
    const found = await checkTriggers(session, record);
    return [...found, ...(await checkQueue(session, job, record, options))];
  });
  const rows = await checkRows(target, job, options);
  return rows ? [...drifts, rows] : drifts;
}

/** The moment is taken before the look: what is seen then has been so at least until that moment. */
async function checkTriggers(session: Session, sync: SyncRecord): Promise<Drift[]> {
  if (sync.table === null) return [];
  const now = await currentTransaction(session);
  const faults = triggerFaults(sync, await readTriggers(session, sync.table, sync.triggers));
  if (faults.length === 0) {
    await markSeen(session, sync, now);
    return [];
  }
  return [{ kind: 'triggers', reason: faults.join('; '), keys: [] }];
}

async function checkQueue(
  session: Session,
  { phase }: SyncJob,
  sync: SyncRecord,
  { draining, longestWaitMs }: CheckOptions,
): Promise<Drift[]> {
  if (!draining) return [];
  const { waiting, oldestMs } = await readQueue(session, sync.id, phase.queueLimit);
  const reasons: string[] = [];
  if (waiting > phase.queueLimit) reasons.push(`more than ${phase.queueLimit} captured changes wait`);
  if (oldestMs > longestWaitMs)
    reasons.push(`the oldest captured change waits for ${Math.round(oldestMs / 1000)} s`);
  return reasons.length > 0 ? [{ kind: 'queue', reason: reasons.join('; '), keys: [] }] : [];
}

async function checkRows(
  target: Target,
  job: SyncJob,
  { signal, sampleRows = SAMPLE_ROWS, recheckMs = RECHECK_MS }: CheckOptions,
): Promise<Drift | undefined> {
  const look = (keys?: Key[]) =>
    atOneMoment(target, signal, (session) => differing(session, job, keys, sampleRows));
  const first = await look();
  if (first.found.length === 0) return undefined;
  await wait(recheckMs, signal);
  const second = await look(first.found.map(({ key }) => key));
  // A row that has changed in between is in flight; if it stays wrong, another look will find it.
  const before = new Set(first.found.map(idOf));
  const keys = second.found.filter((difference) => before.has(idOf(difference))).map(({ key }) => key);
  if (keys.length === 0) return undefined;
  const reason = `${keys.length} of ${first.sampled} sampled rows of ${job.backfill.table} differ from their transform`;
  const redacted = first.keyColumns.some((name) => job.backfill.redact.includes(name));
  return { kind: 'rows', reason: redacted ? reason : `${reason}: ${shown(keys)}`, keys };
}

function shown(keys: readonly Key[]): string {
  const some = keys.slice(0, KEYS_SHOWN).map((key) => `(${key.join(', ')})`);
  return some.join(', ') + (keys.length > KEYS_SHOWN ? ', …' : '');
}

/** Rows and notes as they were at the same moment: a row that differs while its key is noted is taken care of. */
function atOneMoment<T>(
  target: Target,
  signal: AbortSignal | undefined,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const prelude = `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; ${PINNED_SESSION}`;
  return target.transaction({ ...LIMITS, signal, readOnly: true, prelude }, work);
}

type Look = { sampled: number; found: Finding[]; keyColumns: string[] };

const NOTHING: Look = { sampled: 0, found: [], keyColumns: [] };

/** Looks at these rows, or at a sample of those that the backfill has come past or leaves to the sync. */
async function differing(
  session: Session,
  job: SyncJob,
  asked: Key[] | undefined,
  sampleRows: number,
): Promise<Look> {
  // Its triggers are missing too, and that has been said.
  if (!(await describeTable(session, job.backfill.table))) return NOTHING;
  const context = await readContext(session, backfillOf(job));
  const checkpoint = await selectCheckpoint(session, job.runId, job.backfill.name);
  if (!context || !checkpoint || checkpoint.direction === 'undo') return NOTHING;
  const keys = asked ?? (await sample(session, context, checkpoint.id, sampleRows));
  if (keys.length === 0) return NOTHING;
  const columns = await comparedColumns(session, context.written);
  const { findings } = await compareWithTransform(session, { context, columns }, { keys }, true);
  // What cannot be derived is for the exceptions; a row whose key is noted is taken care of.
  const excuses = await listExcuses(session, context.table, {
    runId: job.runId,
    backfill: job.backfill.name,
    syncs: [job.phase.name],
    keys: findings.map(({ key }) => key),
  });
  const excused = new Set(excuses.map(({ key }) => JSON.stringify(key)));
  const found = findings.filter(({ key, exception }) => !exception && !excused.has(JSON.stringify(key)));
  return { sampled: keys.length, found, keyColumns: checkpoint.keyColumns };
}

async function sample(
  session: Session,
  { table, where }: BatchContext,
  backfill: string,
  rows: number,
): Promise<Key[]> {
  const except = await listOpenRanges(session, backfill);
  try {
    return await withSavepoint(session, () => sampleKeys(session, table, { where, except, rows }));
  } catch (error) {
    // A row on which the condition fails must not keep the others from being looked at; it is judged row by row later.
    if (!isRowError(error)) throw error;
    return sampleKeys(session, table, { where: undefined, except, rows });
  }
}

/** The same again only when neither the row has changed nor what it should be. */
function idOf({ key, state, columns }: Finding): string {
  return JSON.stringify([key, state, columns]);
}
