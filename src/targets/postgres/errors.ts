import pg from 'pg';

/**
 * What an error of the database means for whoever ran the statement: trying the same again may help; particular rows are
 * at fault and others would pass; or nothing helps but a changed statement, schema or permission.
 */
export type SqlErrorKind = 'retryable' | 'row' | 'permanent';

const RETRYABLE_STATES = new Set([
  '25P03', // idle_in_transaction_session_timeout
  '25P04', // transaction_timeout
  '55006', // object_in_use
  '55P03', // lock_not_available
  '57014', // query_canceled: a statement_timeout, as our own cancellations reject with their signal's reason
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
]);

const RETRYABLE_CLASSES = new Set([
  '08', // connection exception
  '40', // transaction rollback: serialization, deadlock
  '53', // insufficient resources: disk, memory, connections
  '58', // system error: I/O
]);

const ROW_STATES = new Set([
  '21000', // cardinality_violation: a subquery found more than one row
  '54000', // program_limit_exceeded: a value too long for its index
  'P0001', // raise_exception, as triggers use it
  'P0002', // no_data_found
  'P0003', // too_many_rows
  'P0004', // assert_failure
]);

const ROW_CLASSES = new Set([
  '22', // data exception
  '23', // integrity constraint violation
  '44', // WITH CHECK OPTION violation
]);

const RETRYABLE_SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** What pg says, without any code, of a connection that was lost or never came to be. */
const LOST_CONNECTION =
  /^Connection terminated|^timeout exceeded when trying to connect|^timeout expired|not queryable$|^Query read timeout/;

/** The first error in the chain of causes that comes from the server, if any does. */
export function databaseError(error: unknown): pg.DatabaseError | undefined {
  return chain(error).find((link) => link instanceof pg.DatabaseError);
}

/** What somebody else is still doing to the same thing. Counts as a lock that was not available. */
export class StillBusyError extends Error {
  override readonly name = 'StillBusyError';
}

/** The five characters by which PostgreSQL names the condition. */
export function sqlState(error: unknown): string | undefined {
  return chain(error).some((link) => link instanceof StillBusyError) ? '55P03' : databaseError(error)?.code;
}

/** Looks through the causes of errors that wrap another. What is no fault of the database is permanent. */
export function classifySqlError(error: unknown): SqlErrorKind {
  const state = sqlState(error);
  if (state !== undefined) return classifyState(state);
  return chain(error).some(isLostConnection) ? 'retryable' : 'permanent';
}

function classifyState(state: string): SqlErrorKind {
  const stateClass = state.slice(0, 2);
  if (RETRYABLE_STATES.has(state) || RETRYABLE_CLASSES.has(stateClass)) return 'retryable';
  if (ROW_STATES.has(state) || ROW_CLASSES.has(stateClass)) return 'row';
  return 'permanent';
}

function isLostConnection(error: Error): boolean {
  const code = 'code' in error ? error.code : undefined;
  return (
    (typeof code === 'string' && RETRYABLE_SYSTEM_CODES.has(code)) || LOST_CONNECTION.test(error.message)
  );
}

function chain(error: unknown): Error[] {
  const links: Error[] = [];
  for (let link = error; link instanceof Error && !links.includes(link); link = link.cause) links.push(link);
  return links;
}

export type DescribeOptions = {
  /** The text that was run; lets the description say at which line it went wrong. */
  statement?: string | undefined;
  /** Whether values of rows may appear, as they do in the details of violated constraints and of wrong data. */
  rowData?: boolean | undefined;
};

/** One paragraph: what the server said, where, and what to do next. */
export function describeSqlError(error: unknown, options: DescribeOptions = {}): string {
  const cause = databaseError(error);
  if (!cause) return describeOther(error);
  const parts = [
    `${options.rowData ? cause.message : withoutRowData(cause, options.statement)} (SQLSTATE ${[cause.code, ...places(cause, options.statement)].join('; ')})`,
  ];
  const showsRows = classifySqlError(cause) === 'row';
  if (cause.detail && (options.rowData || !showsRows)) parts.push(cause.detail);
  if (cause.hint) parts.push(cause.hint);
  const next = NEXT_STEPS[cause.code ?? ''];
  if (next) parts.push(next);
  return parts.map((part) => part.trim().replace(/\.$/, '')).join('. ');
}

/** The message with the value that it complains of left out, unless it stands in the statement itself. */
function withoutRowData({ message, code }: pg.DatabaseError, statement: string | undefined): string {
  if (!code?.startsWith('22')) return message;
  return message.replace(/"(.*)"/s, (quoted, value: string) => (statement?.includes(value) ? quoted : '"…"'));
}

function describeOther(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A refused connection to a name with several addresses comes as one error without a text of its own.
  const message =
    error.message || (error instanceof AggregateError ? error.errors.map(String).join('; ') : error.name);
  if (error instanceof StillBusyError || classifySqlError(error) !== 'retryable') return message;
  return `${message}. The database could not be reached, or the connection broke; check that it is up and its URL is right`;
}

function places(error: pg.DatabaseError, statement: string | undefined): string[] {
  const found: string[] = [];
  if (error.table) found.push(`table ${[error.schema, error.table].filter(Boolean).join('.')}`);
  if (error.column) found.push(`column ${error.column}`);
  if (error.constraint) found.push(`constraint ${error.constraint}`);
  const position = Number(error.position);
  if (statement !== undefined && position > 0) {
    const before = [...statement].slice(0, position - 1).join('');
    found.push(`line ${before.split('\n').length} of the statement`);
  }
  return found;
}

/** What helps with the common ones. */
const NEXT_STEPS: Record<string, string> = {
  '23505': 'Find the duplicates before the unique index or constraint is made',
  '25006': 'Only statements that read are allowed here',
  '28P01': "Check the password in the target's URL",
  '3D000': "Check the database name in the target's URL",
  '3F000': 'Check the name of the schema and the search_path',
  '42501': 'Grant the role of the target what it needs, or use a role that owns the table',
  '42601': 'Correct the syntax of the statement',
  '42703': 'Check the spelling of the column, and that the phase that adds it comes earlier in the plan',
  '42P01': 'Check the spelling of the table, its schema and the search_path',
  '42P07': 'Something of that name exists already; choose another name or remove it first',
  '53300': 'Lower the pool size of the target or raise max_connections',
  '55P03': 'Another session holds a conflicting lock; find it with pg_blocking_pids() in pg_stat_activity',
  '57014': 'The statement ran into its statement_timeout; an index or a smaller range may help',
};
