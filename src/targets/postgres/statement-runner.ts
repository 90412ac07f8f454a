import type { Session, Target } from '../target.ts';
import {
  forgetStatement,
  markFinished,
  markStarted,
  type StatementKey,
  statementState,
} from './applied-statements.ts';
import { type ConcurrentIndex, concurrentIndex, dropInvalidIndex, indexState } from './concurrent-index.ts';
import { describeSqlError, StillBusyError, sqlState } from './errors.ts';
import { isLockFailure } from './lock-retry.ts';
import { ensureOwnSchema } from './own-schema.ts';
import { codeOf } from './sql-lexer.ts';

/** One statement of a phase on its way, in a target that has Cutover's schema. */
export type Step = StatementKey & {
  statement: string;
  lockTimeoutMs: number;
  signal: AbortSignal | undefined;
  /** What the statement would undo may never have been done; then it counts as undone. */
  tolerant: boolean;
};

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
      if ((await statementState(session, step)) === 'started') return undefined;
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
  const index = concurrentIndex(step.statement);
  let begun = false;
  try {
    return await target.session(step, async (session) => {
      await claim(session, step);
      const state = await statementState(session, step);
      if (state === 'finished') return 'skipped';
      const wasStarted = state === 'started';
      if (index && (await settleIndex(session, index, wasStarted)) === 'done') {
        await markFinished(session, step);
        return 'skipped';
      }
      await markStarted(session, step);
      begun = true;
      const outcome = await runAgainstAbsence(session, step, wasStarted);
      await markFinished(session, step);
      return outcome;
    });
  } catch (error) {
    throw begun ? await cleanUp(target, step, index, error) : error;
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

/** Says `done` when an earlier attempt had made the index; else nothing of that name is in the way any more. */
async function settleIndex(
  session: Session,
  index: ConcurrentIndex,
  wasStarted: boolean,
): Promise<'done' | 'to do'> {
  switch (await indexState(session, index)) {
    case 'building':
      throw new StillBusyError(`another session is still building the index "${index.name}"`);
    case 'invalid':
      await dropInvalidIndex(session, index);
      return 'to do';
    case 'valid':
      if (wasStarted || index.ifNotExists) return 'done';
      throw new Error(
        `the index "${index.name}" exists already and this run did not make it; ` +
          'choose another name, drop the index, or write CREATE INDEX CONCURRENTLY IF NOT EXISTS',
      );
    case 'missing':
      return 'to do';
  }
}

/**
 * After a failure: drops the invalid index, on another session because the failed one may be cancelled or dead.
 * Answers with the error to report.
 */
async function cleanUp(
  target: Target,
  step: Step,
  index: ConcurrentIndex | undefined,
  error: unknown,
): Promise<unknown> {
  const surelyNotDone = sqlState(error) !== undefined;
  try {
    await target.session({ lockTimeoutMs: step.lockTimeoutMs }, async (session) => {
      if (index) await dropInvalidIndex(session, index);
      if (surelyNotDone) await forgetStatement(session, step);
    });
    return error;
  } catch (cleanUpError) {
    if (!index || step.signal?.aborted || isLockFailure(error)) return error;
    return new Error(
      `${describeSqlError(error, step)}. The invalid index "${index.name}" could not be dropped either ` +
        `(${describeSqlError(cleanUpError)}); drop it with DROP INDEX CONCURRENTLY`,
      { cause: error },
    );
  }
}

function doesNotExist(error: unknown): boolean {
  return DOES_NOT_EXIST.has(sqlState(error) ?? '');
}

/** Of such a statement "does not exist" can mean that an earlier attempt has done it. */
function removes(statement: string): boolean {
  return /^DROP\b|\bDETACH\s+PARTITION\b/i.test(codeOf(statement));
}
