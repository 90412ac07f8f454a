import { ApplicationFailure, Context } from '@temporalio/activity';
import { FAILURE } from '../contracts/errors.ts';
import { classifySqlError, describeSqlError } from '../targets/postgres/errors.ts';
import type { StatementError } from '../targets/postgres/schema-change.ts';

type Activity<A extends unknown[], R> = (...args: A) => Promise<R>;

/**
 * Translates whatever an activity throws into what Temporal should do about it: faults that pass are retried without end,
 * everything else fails the phase with a text that helps.
 */
export function translateFailures<T extends Record<string, Activity<never[], unknown>>>(activities: T): T {
  const translated = Object.entries(activities).map(([name, activity]) => [
    name,
    async (...args: never[]) => {
      try {
        return await activity(...args);
      } catch (error) {
        throw translate(error);
      }
    },
  ]);
  return Object.fromEntries(translated) as T;
}

function translate(error: unknown): unknown {
  const { cancellationSignal } = Context.current();
  if (cancellationSignal.aborted) return cancellationSignal.reason ?? error;
  if (error instanceof ApplicationFailure) return error;
  const known = knownFailure(error);
  // The server's own error stays behind: its text may hold values of rows, and histories are read by many.
  if (known) return ApplicationFailure.create(known);
  if (classifySqlError(error) === 'retryable') {
    return ApplicationFailure.create({
      type: FAILURE.targetUnavailable,
      message: describeSqlError(error),
    });
  }
  const type = error instanceof Error ? error.name : 'Error';
  return ApplicationFailure.create({ type, message: describeSqlError(error), nonRetryable: true });
}

/** Errors of the engine by their names; their texts already say what to do. */
function knownFailure(error: unknown): { type: string; message: string; nonRetryable: boolean } | undefined {
  if (!(error instanceof Error)) return undefined;
  const { message } = error;
  switch (error.name) {
    case 'LeaseLost':
      return { type: FAILURE.leaseLost, message, nonRetryable: false };
    case 'BudgetExceeded':
      return { type: FAILURE.budgetExceeded, message, nonRetryable: true };
    case 'BatchNeverEnds':
      return { type: FAILURE.batchNeverEnds, message, nonRetryable: true };
    case 'BackfillNotBegun':
      return { type: FAILURE.backfillNotBegun, message, nonRetryable: true };
    case 'DecisionRefused':
      return { type: FAILURE.decisionRefused, message, nonRetryable: true };
    case 'ValueRefused':
      return { type: FAILURE.valueRefused, message, nonRetryable: true };
    case 'LocksNotFree':
      return { type: FAILURE.locksNotFree, message, nonRetryable: true };
    case 'SyncNotInstalled':
      return { type: FAILURE.syncNotInstalled, message, nonRetryable: true };
    case 'StatementError':
      return {
        type: FAILURE.statementRefused,
        message,
        nonRetryable: classifySqlError(error) !== 'retryable' || (error as StatementError).gaveUp,
      };
    default:
      return undefined;
  }
}
