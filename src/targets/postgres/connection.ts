import pg from 'pg';
import type {
  HeldSession,
  QueryResult,
  Row,
  Session,
  SessionOptions,
  Target,
  TransactionOptions,
} from '../target.ts';
import { cancelStatement, cutConnection, settlesWithin } from './cancel.ts';

export type PostgresTargetOptions = {
  name: string;
  url: string;
  /** Most connections that are lent at once. Three times as many may be held, and some cancel statements. */
  poolSize: number;
  /** Most lanes that may work on its rows at once, over all workers; as many as `poolSize` unless given. */
  budget?: number | undefined;
  /** Shown in pg_stat_activity, so that the database's owner sees whose sessions these are. */
  applicationName?: string | undefined;
  /** How long to wait for a connection, or for a free one in the pool. */
  connectionTimeoutMs?: number | undefined;
  /** The server ends a transaction that stays idle for longer, so that a stuck worker cannot hold locks. */
  idleInTransactionTimeoutMs?: number | undefined;
  /** How long the server gets to end a cancelled statement before its connection is cut. */
  cancelGraceMs?: number | undefined;
  /** Hears of connections that died while nobody used them; the pool replaces them by itself. */
  onIdleError?: ((error: Error) => void) | undefined;
};

/** A lane may hold a second connection to read on, and an undo must not wait for lanes. */
const HELD_PER_LENT = 3;

/** How long tidying up a connection may take before it is thrown away. */
const TIDY_MS = 5_000;

/** Opens no connection until the first use; `close` waits for those that are lent out. */
export function createPostgresTarget(options: PostgresTargetOptions): Target {
  const config: pg.PoolConfig = {
    connectionString: options.url,
    application_name: options.applicationName ?? 'cutover',
    connectionTimeoutMillis: options.connectionTimeoutMs ?? 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
  const openPool = (max: number) => {
    const pool = new pg.Pool({ ...config, max, idleTimeoutMillis: 30_000 });
    // A connection that dies in the moment it is made is neither idle nor lent: without a listener that ends the process.
    pool.on('connect', (client) => client.on('error', () => undefined));
    return pool.on('error', (error) => options.onIdleError?.(error));
  };
  const pool = openPool(options.poolSize);
  // Connections that are held for minutes must not keep a gate, or the undo of a flag, waiting for one.
  const heldPool = openPool(options.poolSize * HELD_PER_LENT);
  const idleTimeoutMs = options.idleInTransactionTimeoutMs ?? 60_000;
  const cancel: Cancel = (client, statement) =>
    cancelStatement(config, client, statement, options.cancelGraceMs ?? 5_000);
  let closed: Promise<void> | undefined;

  return {
    name: options.name,
    dialect: 'postgres',
    budget: options.budget ?? options.poolSize,
    session: (sessionOptions, work) =>
      lend(pool, cancel, sessionOptions, (loan) => runSession(loan, sessionOptions, work)),
    hold: (transactionOptions, work) =>
      lend(heldPool, cancel, transactionOptions, (loan) =>
        runHeld(loan, transactionOptions, idleTimeoutMs, work),
      ),
    transaction: (transactionOptions, work) =>
      lend(pool, cancel, transactionOptions, (loan) =>
        runTransaction(loan, transactionOptions, idleTimeoutMs, work),
      ),
    close: () => {
      closed ??= Promise.all([pool.end(), heldPool.end()]).then(() => undefined);
      return closed;
    },
  };
}

/** A client for as long as one piece of work has it. */
type Loan = {
  client: pg.PoolClient;
  session: Session;
  signal: AbortSignal | undefined;
  /** Nobody may use the connection again: it died, was cut, or may still receive a late cancel. */
  spoiled: boolean;
};

/** Ends the statement that the client is running; resolves when it has ended. */
type Cancel = (client: pg.PoolClient, statement: Promise<unknown>) => Promise<void>;

async function lend<T>(
  pool: pg.Pool,
  cancel: Cancel,
  { signal }: SessionOptions,
  work: (loan: Loan) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const client = await connect(pool, signal);
  const loan: Loan = { client, session: { query: run, signal }, signal, spoiled: false };
  const spoil = () => {
    loan.spoiled = true;
  };
  // While it is lent out, the pool does not listen: an unheard error event would end the process.
  client.on('error', spoil);
  client.on('end', spoil);

  async function run<R = Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>> {
    signal?.throwIfAborted();
    const statement = client.query(text, values === undefined ? undefined : [...values]);
    const stopCancelling = signal && cancelOnAbort(loan, cancel, statement, signal);
    try {
      const result = last(await statement);
      signal?.throwIfAborted();
      return {
        rows: result.rows as R[],
        rowCount: result.rowCount ?? 0,
        columns: result.fields.map((field) => field.name),
      };
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    } finally {
      await stopCancelling?.();
    }
  }

  try {
    return await work(loan);
  } finally {
    client.off('error', spoil);
    client.off('end', spoil);
    client.release(loan.spoiled);
  }
}

/** Without values pg sends a text of several statements as it is, and answers with a list. */
function last(result: pg.QueryResult | pg.QueryResult[]): pg.QueryResult {
  if (!Array.isArray(result)) return result;
  const final = result.at(-1);
  if (final === undefined) throw new Error('the statement is empty');
  return final;
}

async function connect(pool: pg.Pool, signal: AbortSignal | undefined): Promise<pg.PoolClient> {
  const connecting = pool.connect();
  if (!signal) return connecting;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([connecting, aborted]);
  } catch (error) {
    // The connection that nobody waits for any more goes back when it comes.
    connecting.then(
      (client) => client.release(),
      () => undefined,
    );
    throw error;
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
}

/** Returns a function that ends the watch, and waits for a cancellation that is under way. */
function cancelOnAbort(
  loan: Loan,
  cancel: Cancel,
  statement: Promise<unknown>,
  signal: AbortSignal,
): () => Promise<void> {
  let cancelling: Promise<void> | undefined;
  const onAbort = () => {
    loan.spoiled = true;
    cancelling = cancel(loan.client, statement);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  return async () => {
    signal.removeEventListener('abort', onAbort);
    await cancelling;
  };
}

async function runSession<T>(
  loan: Loan,
  options: SessionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  try {
    for (const [name, ms] of timeouts(options)) {
      await loan.session.query(`SET ${name} = ${ms}`);
    }
    return await work(loan.session);
  } finally {
    // Settings, temporary tables and advisory locks must not reach the connection's next user.
    await tidy(loan, 'DISCARD ALL');
  }
}

async function runHeld<T>(
  loan: Loan,
  options: TransactionOptions,
  idleTimeoutMs: number,
  work: (held: HeldSession) => Promise<T>,
): Promise<T> {
  try {
    return await work({
      ...loan.session,
      transaction: (inner) => runTransaction(loan, options, idleTimeoutMs, inner),
    });
  } finally {
    // Advisory locks of the session must not reach the connection's next user; one that is thrown away takes them along.
    if (!loan.spoiled) await tidy(loan, 'SELECT pg_advisory_unlock_all()');
  }
}

async function runTransaction<T>(
  loan: Loan,
  options: TransactionOptions,
  idleTimeoutMs: number,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const settings = [...timeouts(options), ['idle_in_transaction_session_timeout', idleTimeoutMs] as const];
  const begin = `BEGIN ISOLATION LEVEL READ COMMITTED ${options.readOnly ? 'READ ONLY' : 'READ WRITE'}`;
  try {
    const prelude = options.prelude === undefined ? [] : [options.prelude];
    await loan.session.query(
      [begin, ...settings.map(([name, ms]) => `SET LOCAL ${name} = ${ms}`), ...prelude].join('; '),
    );
    const result = await work(loan.session);
    loan.signal?.throwIfAborted();
    await commit(loan.client);
    return result;
  } catch (error) {
    await tidy(loan, 'ROLLBACK');
    throw error;
  }
}

/** Past the signal on purpose: a commit that was cancelled half-way would leave its outcome unknown. */
async function commit(client: pg.PoolClient): Promise<void> {
  if (client.getTransactionStatus() === 'I') {
    throw new Error('the transaction was ended by a statement in it; leave BEGIN, COMMIT and ROLLBACK out');
  }
  const result = await client.query('COMMIT');
  // The server answers COMMIT of a failed transaction with a ROLLBACK, not with an error.
  if (result.command !== 'COMMIT') {
    throw new Error('the transaction was rolled back: a statement in it failed and the failure was ignored');
  }
}

/** Leaves the connection as it was found; one on which that fails is not used again. */
async function tidy(loan: Loan, statement: string): Promise<void> {
  const { client } = loan;
  const done = client.query(statement).catch(() => {
    loan.spoiled = true;
  });
  if (!(await settlesWithin(done, TIDY_MS))) {
    loan.spoiled = true;
    cutConnection(client);
  }
}

function timeouts(options: SessionOptions): [name: string, ms: number][] {
  const set: [string, number][] = [];
  if (options.lockTimeoutMs !== undefined) set.push(['lock_timeout', wholeMs(options.lockTimeoutMs)]);
  if (options.statementTimeoutMs !== undefined) {
    set.push(['statement_timeout', wholeMs(options.statementTimeoutMs)]);
  }
  return set;
}

/** At least 1: to the server 0 means to wait for ever. */
function wholeMs(ms: number): number {
  if (!Number.isFinite(ms)) throw new RangeError(`a timeout of ${ms} ms makes no sense`);
  return Math.max(1, Math.ceil(ms));
}
