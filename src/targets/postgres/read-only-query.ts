import type { QueryResult, Target } from '../target.ts';
import { describeSqlError, sqlState } from './errors.ts';
import { bindNamedParameters } from './named-parameters.ts';
import { singleStatement } from './single-statement.ts';

export type ReadOnlyQueryOptions = {
  signal?: AbortSignal | undefined;
  /** The server ends the query after this long. */
  timeoutMs?: number | undefined;
};

const DEFAULT_TIMEOUT_MS = 60_000;
const READ_ONLY_TRANSACTION = '25006';

/**
 * Runs one statement of a plan that may only read, with its `:name` parameters bound.
 * @throws Error that says what is wrong and what to do; its cause is the server's error. The signal's reason when aborted.
 */
export async function readOnlyQuery(
  target: Target,
  sql: string,
  parameters: Record<string, unknown>,
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: ReadOnlyQueryOptions = {},
): Promise<QueryResult> {
  const { text, values } = bindNamedParameters(singleStatement(sql), parameters);
  try {
    return await target.transaction(
      { readOnly: true, statementTimeoutMs: timeoutMs, lockTimeoutMs: timeoutMs, signal },
      (session) => session.query(text, values),
    );
  } catch (error) {
    if (signal?.aborted) throw error;
    const refused = sqlState(error) === READ_ONLY_TRANSACTION ? 'the query writes: ' : '';
    throw new Error(refused + describeSqlError(error, { statement: text }), { cause: error });
  }
}
