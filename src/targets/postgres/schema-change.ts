import { codeOf } from '../../domain/sql-lexer.ts';
import type { Target } from '../target.ts';
import { forgetPhase, upState } from './applied-statements.ts';
import { concurrentWork } from './concurrent-work.ts';
import { describeSqlError, StillBusyError } from './errors.ts';
import { isLockFailure, type LockRetry, retryForLock } from './lock-retry.ts';
import { ensureOwnSchema } from './own-schema.ts';
import { singleStatement } from './single-statement.ts';
import { dropPhaseLeftovers, IndexLeft, type Outcome, runOnce, type Step } from './statement-runner.ts';

/** The statements of a schema or cleanup phase, on the way up or down. */
export type SchemaChange = {
  runId: string;
  phase: string;
  direction: 'up' | 'down';
  statements: readonly string[];
  lockTimeoutMs: number;
  lockAttempts: number;
};

export type SchemaChangeOptions = {
  signal?: AbortSignal | undefined;
  /** Hears of each attempt that did not get its locks; `index` counts statements from 0. */
  onRetry?: ((retry: LockRetry & { index: number }) => void) | undefined;
  random?: (() => number) | undefined;
};

/** Skipped are statements that an earlier attempt had finished, or that had nothing to undo. */
export type SchemaChangeResult = { applied: number; skipped: number };

/** A statement that the server refused, or that a schema phase cannot run. Its cause is the server's error. */
export class StatementError extends Error {
  override readonly name = 'StatementError';
  readonly index: number;
  /** The locks were not free in as many attempts as the plan allows; on the way back this is never the end. */
  readonly gaveUp: boolean;

  constructor(message: string, index: number, options?: ErrorOptions & { gaveUp?: boolean }) {
    super(message, options);
    this.index = index;
    this.gaveUp = options?.gaveUp ?? false;
  }
}

/**
 * Runs the statements in order, each in a transaction of its own unless the server refuses that. May be called again for
 * the same run and phase whatever became of the call before: what is done is not done twice. The way down runs nothing
 * when nothing of the way up was done; after a part of it, invalid indexes that it has left are dropped first, and what
 * does not exist counts as undone.
 * @throws StatementError that says which statement, what happened and what to do; the signal's reason when aborted.
 */
export async function applyStatements(
  target: Target,
  change: SchemaChange,
  options: SchemaChangeOptions = {},
): Promise<SchemaChangeResult> {
  const statements = change.statements.map(checked);
  const { runId, phase, direction, lockTimeoutMs, lockAttempts } = change;
  const { signal } = options;
  const limits = { lockTimeoutMs, lockAttempts, signal };

  let tolerant = false;
  if (direction === 'down') {
    const up = await target.transaction(limits, (session) => upState(session, runId, phase));
    if (up === 'none') return { applied: 0, skipped: statements.length };
    tolerant = up === 'part';
  }
  const patiently = <T>(work: () => Promise<T>) => retryForLock({ ...limits, random: options.random }, work);
  await patiently(() => target.transaction(limits, (session) => ensureOwnSchema(session)));
  if (direction === 'down') await patiently(() => dropPhaseLeftovers(target, { runId, phase, ...limits }));

  const result: SchemaChangeResult = { applied: 0, skipped: 0 };
  for (const [index, statement] of statements.entries()) {
    const step = { runId, phase, direction, index, total: statements.length, statement, ...limits, tolerant };
    result[await runStep(target, step, options)] += 1;
  }
  if (direction === 'down') {
    await target.transaction(limits, (session) => forgetPhase(session, runId, phase));
  }
  return result;
}

/** A phase's statement, when it is one that can run on its own. */
function checked(sql: string, index: number): string {
  try {
    const statement = singleStatement(sql);
    const code = codeOf(statement);
    if (/^(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION)\b/i.test(code)) {
      throw new Error('transactions are managed for you: each statement has its own; leave this one out');
    }
    if (/^SET\s+(?!LOCAL\b|CONSTRAINTS\b)/i.test(code)) {
      throw new Error('a setting does not reach the next statement; qualify names with their schema instead');
    }
    concurrentWork(statement);
    return statement;
  } catch (error) {
    throw new StatementError(`statement ${index + 1}: ${describeSqlError(error)}`, index, { cause: error });
  }
}

async function runStep(
  target: Target,
  step: Step,
  { signal, onRetry, random }: SchemaChangeOptions,
): Promise<Outcome> {
  const { lockTimeoutMs, lockAttempts, index } = step;
  const policy = { lockTimeoutMs, lockAttempts, signal, random };
  try {
    return await retryForLock(
      { ...policy, onRetry: onRetry && ((retry) => onRetry({ ...retry, index })) },
      () => runOnce(target, step),
    );
  } catch (error) {
    if (signal?.aborted) throw error;
    const lock = isLockFailure(error)
      ? ` (its locks were not free in ${lockAttempts} attempts of up to ${lockTimeoutMs} ms)`
      : '';
    const what = `statement ${index + 1} of ${step.total}${lock}: `;
    // What an earlier worker left running ends some time, so it is worth waiting for.
    const gaveUp = isLockFailure(error) && step.direction === 'up' && !(error instanceof StillBusyError);
    const why = error instanceof IndexLeft ? error.message : describeSqlError(error, step);
    throw new StatementError(what + why, index, { cause: error, gaveUp });
  }
}
