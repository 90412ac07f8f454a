import type { Measurement } from '../../domain/gate-verdict.ts';
import type { QueryResult, Target } from '../target.ts';
import { type ReadOnlyQueryOptions, readOnlyQuery } from './read-only-query.ts';

/**
 * Measures by a plan's query, whose first column of the first row is the number. Whatever goes wrong is an error measurement;
 * only an abort is thrown.
 */
export async function measureNumber(
  target: Target,
  sql: string,
  parameters: Record<string, unknown>,
  options: ReadOnlyQueryOptions,
): Promise<Measurement> {
  try {
    return firstNumber(await readOnlyQuery(target, sql, parameters, options));
  } catch (error) {
    options.signal?.throwIfAborted();
    return { kind: 'error', message: error instanceof Error ? error.message : String(error) };
  }
}

function firstNumber({ rows, columns }: QueryResult): Measurement {
  const [column] = columns;
  if (column === undefined)
    return { kind: 'error', message: 'the query returns no column; select one number' };
  if (columns.indexOf(column, 1) !== -1) {
    return {
      kind: 'error',
      message: `two columns of the query are called "${column}"; return one, or name them with AS`,
    };
  }
  const value = rows[0]?.[column];
  if (value === undefined || value === null) return { kind: 'no-data' };
  const number = toNumber(value);
  if (number !== undefined) return { kind: 'value', value: number };
  // Without the value: it may be a row's, and measurements are read by many.
  return { kind: 'error', message: `column "${column}" is a ${typeof value} that is not a number` };
}

/** The driver gives bigint and numeric as text, so that no digit is lost. */
function toNumber(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}
