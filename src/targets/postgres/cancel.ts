import pg from 'pg';

const REPEAT_MS = 250;

/** The parts of a pg client that cancelling needs and the published types leave out. */
type ServerConnection = pg.ClientBase & {
  readonly processID?: number | null;
  readonly connection?: { readonly stream: { destroy(): void } };
};

/** Resolves once the promise settles, one way or the other, or the time is over; says which. */
export async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends the connection without asking the server, so that whatever waits on it rejects. */
export function cutConnection(client: pg.ClientBase): void {
  (client as ServerConnection).connection?.stream.destroy();
}

/**
 * Cancels what the client's backend is running, from a connection of its own: the pool may have none left.
 * Resolves when `statement` has settled. A backend that has not ended it after `graceMs` has its connection cut.
 */
export async function cancelStatement(
  config: pg.ClientConfig,
  client: pg.ClientBase,
  statement: Promise<unknown>,
  graceMs: number,
): Promise<void> {
  const pid = (client as ServerConnection).processID;
  if (pid) {
    await settlesWithin(requestCancel(config, pid, statement, graceMs), graceMs);
  }
  if (!(await settlesWithin(statement, 0))) {
    cutConnection(client);
    await settlesWithin(statement, graceMs);
  }
}

/** Asks again until the statement ends: a request that arrives before its statement does is lost. */
async function requestCancel(
  config: pg.ClientConfig,
  pid: number,
  statement: Promise<unknown>,
  graceMs: number,
): Promise<void> {
  const deadline = Date.now() + graceMs;
  const canceller = new pg.Client({ ...config, connectionTimeoutMillis: graceMs, query_timeout: graceMs });
  // A connection that dies while idle reports it as an event; unheard, that would end the process.
  canceller.on('error', () => undefined);
  try {
    await canceller.connect();
    do {
      await canceller.query('SELECT pg_cancel_backend($1)', [pid]);
    } while (!(await settlesWithin(statement, REPEAT_MS)) && Date.now() < deadline);
  } catch {
    // Without a way to the server the caller cuts the connection instead.
  } finally {
    await canceller.end().catch(() => undefined);
  }
}
