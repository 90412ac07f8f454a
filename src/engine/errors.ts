import { classifySqlError, describeSqlError, sqlState } from '../targets/postgres/errors.ts';

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
    super(`${exceeded} (phase "${phase}"); look at the run's exceptions, correct the transform or the rows`);
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

/** A row that the database neither refused nor wrote. */
export class RowNotWritten extends Error {
  override name = 'RowNotWritten';

  constructor() {
    super('the row was not written: a trigger or a row-level security policy suppressed the update');
  }
}

/** Whether particular rows are at fault, so that the others can go on without them. */
export function isRowError(error: unknown): boolean {
  return error instanceof RowNotWritten || classifySqlError(error) === 'row';
}

/** What an exception says about a row that failed so. */
export function rowFailure(error: unknown): {
  reason: string;
  sqlstate?: string | undefined;
  message: string;
} {
  const reason = error instanceof Error ? error.message : String(error);
  return { reason, sqlstate: sqlState(error), message: describeSqlError(error, { rowData: true }) };
}
