import { codeOf } from '../../domain/sql-lexer.ts';
import type { Session, Target } from '../target.ts';
import {
  cutOffStatements,
  forgetStatement,
  markFinished,
  markStarted,
  type StatementKey,
  statementRecord,
} from './applied-statements.ts';
import {
  type ConcurrentWork,
  concurrentWork,
  dropInvalidIndexes,
  hasValidIndex,
  invalidIndexes,
} from './concurrent-work.ts';
import { describeSqlError, StillBusyError, sqlState } from './errors.ts';
import { ensureOwnSchema } from './own-schema.ts';

/** One statement of a phase on its way, in a target that has Cutover's schema. */
export type Step = StatementKey &
  Waits & {
    statement: string;
    /** What the statement would undo may never have been done; then it counts as undone. */
    tolerant: boolean;
  };

export type Waits = { lockTimeoutMs: number; lockAttempts: number; signal: AbortSignal | undefined };

/**
 * How long a statement that works CONCURRENTLY waits, in milliseconds. It waits for transactions that began before it, and
 * nobody but other schema changes queues behind it meanwhile. Giving up costs it all that it has built, so it waits as
 * long in one go as others do in all their attempts.
 */
function patienceMs({ lockTimeoutMs, lockAttempts }: Waits): number {
  return lockTimeoutMs * lockAttempts;
}

/** Skipped: an earlier attempt had finished it, or there was nothing to undo. */
export type Outcome = 'applied' | 'skipped';

const ACTIVE_SQL_TRANSACTION = '25001';

/** undefined table, column, object, schema and function */
const DOES_NOT_EXIST = new Set(['42P01', '42703', '42704', '3F000', '42883']);

/** One attempt at the statement, in a transaction with its record unless the server refuses that. */
export async function runOnce(target: Target, step: Step): Promise<Outcome> {
  return (await runInTransaction(target, step)) ?? (await runOutsideTransaction(target, step));
}

/** Undefined when the statement cannot run inside of a transaction. */
async function runInTransaction(target: Target, step: Step): Promise<Outcome | undefined> {
  try {
    return await target.transaction(step, async (session) => {
      await ensureOwnSchema(session);
      if ((await statementRecord(session, step)).state === 'started') return undefined;
      if (!(await markFinished(session, step))) return 'skipped';
      return await runTolerantly(session, step);
    });
  } catch (error) {
    if (sqlState(error) === ACTIVE_SQL_TRANSACTION) return undefined;
    throw error;
  }
}

async function runTolerantly(session: Session, step: Step): Promise<Outcome> {
  if (step.tolerant) await session.query('SAVEPOINT undo');
  try {
    await session.query(step.statement);
    return 'applied';
  } catch (error) {
    if (!step.tolerant || !doesNotExist(error)) throw error;
    await session.query('ROLLBACK TO SAVEPOINT undo');
    return 'skipped';
  }
}

async function runOutsideTransaction(target: Target, step: Step): Promise<Outcome> {
  const work = concurrentWork(step.statement);
  let begun = false;
  try {
    const waits = { ...step, lockTimeoutMs: work ? patienceMs(step) : step.lockTimeoutMs };
    return await target.session(waits, async (session) => {
      await claim(session, step);
      const { state, invalidBefore } = await statementRecord(session, step);
      if (state === 'finished') return 'skipped';
      const wasStarted = state === 'started';
      const before = work ? await settle(session, work, { wasStarted, invalidBefore }) : [];
      if (before === 'done') {
        await markFinished(session, step);
        return 'skipped';
      }
      await markStarted(session, step, before);
      begun = true;
      const outcome = await runAgainstAbsence(session, step, wasStarted);
      await markFinished(session, step);
      return outcome;
    });
  } catch (error) {
    throw begun ? await cleanUp(target, step, work, error) : error;
  }
}

async function runAgainstAbsence(session: Session, step: Step, wasStarted: boolean): Promise<Outcome> {
  try {
    await session.query(step.statement);
    return 'applied';
  } catch (error) {
    const maybeDone = step.tolerant || (wasStarted && removes(step.statement));
    if (maybeDone && doesNotExist(error)) return 'skipped';
    throw error;
  }
}

/**
 * Keeps a second worker off the same statement while the first one's session lives. It must not wait: a waiting session
 * has a snapshot, and a concurrent index build waits for every snapshot to end.
 */
async function claim(session: Session, { runId, phase, direction, index }: Step): Promise<void> {
  const { rows } = await session.query<{ claimed: boolean }>(
    'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS claimed',
    [`cutover.statement ${runId} ${phase} ${direction} ${index}`],
  );
  if (!rows[0]?.claimed) throw new StillBusyError('another session is still running this statement');
}

/**
 * Makes way for the statement: what an earlier attempt has left is dropped. Says `done` when that attempt had made the
 * index; else which invalid indexes were there before the first attempt.
 */
async function settle(
  session: Session,
  work: ConcurrentWork,
  { wasStarted, invalidBefore }: { wasStarted: boolean; invalidBefore: readonly string[] },
): Promise<'done' | string[]> {
  // What carries the name of the index is in the way of it, whoever left it.
  if (wasStarted || work.kind === 'create') await dropLeftovers(session, work, invalidBefore);
  if (work.kind === 'create' && (await hasValidIndex(session, work))) {
    if (wasStarted || work.ifNotExists) return 'done';
    throw new Error(
      `the index "${work.index}" exists already and this run did not make it; ` +
        'choose another name, drop the index, or write CREATE INDEX CONCURRENTLY IF NOT EXISTS',
    );
  }
  return (await invalidIndexes(session, work)).map(({ oid }) => oid);
}

/** Invalid indexes are there that cannot be dropped at the moment; its cause is the server's error. */
export class IndexLeft extends Error {
  override readonly name = 'IndexLeft';
}

/**
 * Drops the invalid indexes that the statement has left, but none that were there before it.
 * @throws IndexLeft when they cannot be dropped, StillBusyError while another session is at work on one.
 */
async function dropLeftovers(
  session: Session,
  work: ConcurrentWork,
  before: readonly string[],
): Promise<void> {
  const left = (await invalidIndexes(session, work)).filter(({ oid }) => !before.includes(oid));
  const busy = left.find(({ building }) => building);
  if (busy) throw new StillBusyError(`another session is still building the index ${busy.name}`);
  try {
    await dropInvalidIndexes(session, left);
  } catch (error) {
    if (session.signal?.aborted) throw error;
    throw new IndexLeft(
      `a failed attempt has left the invalid index ${left.map(({ name }) => name).join(', ')}, which could not be ` +
        `dropped yet: ${describeSqlError(error)}. The next attempt drops it, or the rollback does`,
      { cause: error },
    );
  }
}

/**
 * Drops what statements of the phase have left that were cut off on the way up and will not be tried again.
 * @throws IndexLeft or StillBusyError when that is not possible yet.
 */
export async function dropPhaseLeftovers(
  target: Target,
  { runId, phase, ...limits }: { runId: string; phase: string } & Waits,
): Promise<void> {
  await target.session({ ...limits, lockTimeoutMs: patienceMs(limits) }, async (session) => {
    for (const { statement, invalidBefore } of await cutOffStatements(session, runId, phase)) {
      const work = concurrentWork(statement);
      if (work) await dropLeftovers(session, work, invalidBefore);
    }
  });
}

/**
 * After a failure: drops what is left, on another session because the failed one may be cancelled or dead. What cannot be
 * dropped now is dropped by the next attempt, or before the way down. Answers with the error to report.
 */
async function cleanUp(
  target: Target,
  step: Step,
  work: ConcurrentWork | undefined,
  error: unknown,
): Promise<unknown> {
  const surelyNotDone = sqlState(error) !== undefined && !endedSession(error);
  try {
    await target.session({ lockTimeoutMs: step.lockTimeoutMs }, async (session) => {
      const { invalidBefore } = await statementRecord(session, step);
      if (work) await dropLeftovers(session, work, invalidBefore);
      if (surelyNotDone) await forgetStatement(session, step);
    });
    return error;
  } catch (cleanUpError) {
    if (!(cleanUpError instanceof IndexLeft) || step.signal?.aborted) return error;
    return new IndexLeft(`${describeSqlError(error, step)}. ${cleanUpError.message}`, { cause: error });
  }
}

/** The server has ended the connection, which it may do when the statement has just been committed. */
function endedSession(error: unknown): boolean {
  return /^(57P|25P0[34]|08)/.test(sqlState(error) ?? '');
}

function doesNotExist(error: unknown): boolean {
  return DOES_NOT_EXIST.has(sqlState(error) ?? '');
}

/** Of such a statement "does not exist" can mean that an earlier attempt has done it. */
function removes(statement: string): boolean {
  return /^DROP\b|\bDETACH\s+PARTITION\b/i.test(codeOf(statement));
}
