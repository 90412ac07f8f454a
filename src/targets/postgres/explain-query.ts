import { codeOf } from '../../domain/sql-lexer.ts';
import type { Target } from '../target.ts';
import { classifySqlError, databaseError, describeSqlError } from './errors.ts';
import { bindNamedParameters } from './named-parameters.ts';
import { singleStatement } from './single-statement.ts';

/** What the server says of a query that it has planned and not run. */
export type PlannedQuery =
  | { kind: 'fine' }
  /** `missing` is what the query names and the target does not have: `orders`, `cutover.exception`, `o.total`. */
  | { kind: 'refused'; why: string; missing?: string | undefined };

const TIMEOUT_MS = 10_000;
/** undefined table, column, function, object and schema */
const DOES_NOT_EXIST = new Set(['42P01', '42703', '42883', '42704', '3F000']);

/**
 * Plans a query of the plan that may only read, with its `:name` parameters bound.
 * @throws the server's error when trying again may help.
 */
export async function explainQuery(
  target: Target,
  sql: string,
  parameters: Record<string, unknown>,
): Promise<PlannedQuery> {
  let bound: { text: string; values: unknown[] };
  try {
    bound = bindNamedParameters(singleStatement(sql), parameters);
  } catch (error) {
    return { kind: 'refused', why: (error as Error).message };
  }
  const { text, values } = bound;
  if (!canBePlanned(text)) return { kind: 'fine' };
  try {
    const options = { readOnly: true, statementTimeoutMs: TIMEOUT_MS, lockTimeoutMs: TIMEOUT_MS };
    const { rows } = await target.transaction(options, (session) =>
      session.query(`${EXPLAIN}${text}`, values),
    );
    const writes = JSON.stringify(rows).includes('"Node Type":"ModifyTable"');
    return writes
      ? { kind: 'refused', why: 'the query writes; only statements that read are allowed here' }
      : { kind: 'fine' };
  } catch (error) {
    if (classifySqlError(error) === 'retryable') throw error;
    return {
      kind: 'refused',
      why: describeSqlError(error, { statement: text }),
      missing: missingName(error, text),
    };
  }
}

const EXPLAIN = 'EXPLAIN (FORMAT JSON) ';

/** SHOW and the like can only be run. */
function canBePlanned(text: string): boolean {
  return /^[\s(]*(SELECT|WITH|VALUES|TABLE|INSERT|UPDATE|DELETE|MERGE)\b/i.test(codeOf(text));
}

/** The server points at the name; its words for it depend on its language. */
function missingName(error: unknown, text: string): string | undefined {
  const cause = databaseError(error);
  if (!cause?.code || !DOES_NOT_EXIST.has(cause.code)) return undefined;
  const position = Number(cause.position);
  if (!(position > EXPLAIN.length)) return undefined;
  const rest = [...text].slice(position - 1 - EXPLAIN.length).join('');
  return /^(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*))*/u.exec(
    rest,
  )?.[0];
}
