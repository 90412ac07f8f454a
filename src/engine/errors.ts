import { classifySqlError, describeSqlError, sqlState } from '../targets/postgres/errors.ts';
import { describeRefusal } from '../targets/postgres/refusal.ts';

/** Another worker has taken the backfill over; nothing of the batch in flight was committed. */
export class LeaseLost extends Error {
  override name = 'LeaseLost';

  constructor(runId: string, phase: string) {
    super(
      `another worker has taken over phase "${phase}" of run ${runId}; this one stops, and its last batch was rolled back`,
    );
  }
}

/** More rows failed than the plan allows. What was done so far is committed, the failing rows are recorded. */
export class BudgetExceeded extends Error {
  override name = 'BudgetExceeded';

  constructor(phase: string, exceeded: string) {
    super(
      `${exceeded} (phase "${phase}"); look at the run's exceptions, correct the rows and replay them, resolve or skip ` +
        'them, then resume',
    );
  }
}

/** The backfill was asked to go forward after its undo had begun. */
export class BackfillUndone extends Error {
  override name = 'BackfillUndone';

  constructor(runId: string, phase: string) {
    super(
      `phase "${phase}" of run ${runId} is being undone or was; start a new run to migrate its rows again`,
    );
  }
}

/** One row alone takes longer than a statement may; `where` says which: `after the key (5)`. */
export class BatchNeverEnds extends Error {
  override name = 'BatchNeverEnds';

  constructor(phase: string, where: string, statementTimeoutMs: number, cause: unknown) {
    super(
      `phase "${phase}" does not get on: the row ${where} takes longer than the statement timeout of ` +
        `${statementTimeoutMs / 1_000} s by itself; look at the expression's plan for that row, then resume`,
      { cause },
    );
  }
}

/** A batch's transform computes for too long; fewer rows may pass. */
export class TransformTooSlow extends Error {
  override name = 'TransformTooSlow';

  constructor(ms: number) {
    super(`the transform of a batch computed for longer than ${ms / 1_000} s`);
  }
}

/** A row that the database neither refused nor wrote. */
export class RowNotWritten extends Error {
  override name = 'RowNotWritten';

  constructor() {
    super('the row was not written: a trigger, a rule or a row-level security policy suppressed the write');
  }
}

/** Whether particular rows are at fault, so that the others can go on without them. */
export function isRowError(error: unknown): boolean {
  return error instanceof RowNotWritten || classifySqlError(error) === 'row';
}

/**
 * What an exception says about a row that failed so.
 * @param redact columns whose values it must not show.
 */
export function rowFailure(
  error: unknown,
  redact: readonly string[],
): { reason: string; sqlstate?: string | undefined; message: string } {
  const sqlstate = sqlState(error);
  const refusal = redact.length > 0 ? describeRefusal(error, redact) : undefined;
  if (refusal) return { reason: refusal, sqlstate, message: refusal };
  const reason = error instanceof Error ? error.message : String(error);
  return { reason, sqlstate, message: describeSqlError(error, { rowData: true }) };
}

/**
 * Whether a row was refused because of what other rows are at the moment: a unique, exclusion or foreign key constraint, or a
 * trigger, which may look at any of them.
 */
export function dependsOnOthers(error: unknown): boolean {
  return ['23505', '23P01', '23503', 'P0001'].includes(sqlState(error) ?? '');
}

/** The statement was stopped by its statement_timeout; a smaller one may pass. */
export function isStatementTimeout(error: unknown): boolean {
  return sqlState(error) === '57014';
}

/** The batch takes too long; a smaller one may pass. */
export function isTooLong(error: unknown): boolean {
  return error instanceof TransformTooSlow || isStatementTimeout(error);
}

/** A deadlock, a serialization failure or a lock that did not come: the same batch may pass in a moment. */
export function isTransient(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && (state.startsWith('40') || state === '55P03');
}
