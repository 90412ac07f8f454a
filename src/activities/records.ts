import { ApplicationFailure } from '@temporalio/activity';
import { FAILURE } from '../contracts/errors.ts';
import { describeSqlError } from '../targets/postgres/errors.ts';

/**
 * Writes to the control database. Whatever goes wrong there is never a reason to end or undo a run: Temporal tries the
 * activity again until the record can be made.
 */
export async function recorded<T>(write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    const message = `the control database did not take a record: ${describeSqlError(error)}`;
    throw ApplicationFailure.create({ type: FAILURE.controlUnavailable, message });
  }
}
