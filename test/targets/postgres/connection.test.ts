import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPostgresTarget } from '../../../src/targets/postgres/connection.ts';
import { classifySqlError, sqlState } from '../../../src/targets/postgres/errors.ts';
import { until } from '../../support/until.ts';
import { type Fixture, holdLock, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await startFixture({ applicationName: 'cutover shop' });
  await fixture.sql('CREATE TABLE note (id int PRIMARY KEY, text text)');
});
afterAll(() => fixture.stop());

function sessionsRunning(text: string) {
  return fixture.sql(
    `SELECT pid, application_name FROM pg_stat_activity
      WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid() AND datname = current_database()`,
    [`%${text}%`],
  );
}

/** Forwards to the database until it is told to swallow everything, as a broken network does. */
async function startProxy(url: string) {
  const upstream = new URL(url);
  const sockets: Socket[] = [];
  let silent = false;
  const server = createServer((socket) => {
    const database = connect(Number(upstream.port), upstream.hostname);
    sockets.push(socket, database);
    for (const end of [socket, database]) end.on('error', () => undefined);
    socket.on('data', (data) => silent || database.write(data));
    database.on('data', (data) => silent || socket.write(data));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxied = new URL(url);
  proxied.port = String(portOf(server));
  return {
    url: proxied.href,
    silence: () => {
      silent = true;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server listens on no port');
  return address.port;
}

test('a connection that the server ends in the moment it is made fails its work, not the process', async () => {
  const message = (type: string, ...fields: string[]) => {
    const body = Buffer.from(fields.join(''));
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeInt32BE(4 + body.length, 1);
    return Buffer.concat([head, body]);
  };
  // Ready and ended in one packet: nobody has been lent the connection yet, and nobody waits for it any more.
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      const ok = message('R', '\0\0\0\0');
      const ready = message('Z', 'I');
      const ended = message('E', 'SFATAL\0', 'C57P01\0', 'Mterminating connection\0', '\0');
      socket.end(Buffer.concat([ok, ready, ended]));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `postgresql://u@127.0.0.1:${portOf(server)}/d`;
  const target = createPostgresTarget({ name: 'shop', url, poolSize: 1 });
  const work = target.session({}, (session) => session.query('SELECT 1'));
  const error = await work.catch((caught: unknown) => caught);
  expect(classifySqlError(error)).toBe('retryable');
  await target.close();
  server.close();
});

test('a transaction commits what its work did, and nothing when the work fails', async () => {
  await fixture.target.transaction({}, (session) => session.query(`INSERT INTO note VALUES (1, 'kept')`));
  const failing = fixture.target.transaction({}, async (session) => {
    await session.query(`INSERT INTO note VALUES (2, 'lost')`);
    throw new Error('changed my mind');
  });
  await expect(failing).rejects.toThrow('changed my mind');
  expect(await fixture.sql('SELECT id FROM note ORDER BY id')).toEqual([{ id: 1 }]);
});

test('a failure inside a transaction that the work ignores is no commit', async () => {
  const work = fixture.target.transaction({}, async (session) => {
    await session.query(`INSERT INTO note VALUES (3, 'lost')`);
    await session.query('SELECT 1/0').catch(() => undefined);
  });
  await expect(work).rejects.toThrow(/rolled back/);
  expect(await fixture.sql('SELECT id FROM note WHERE id = 3')).toEqual([]);
});

test('a statement that ends the transaction itself is reported', async () => {
  const work = fixture.target.transaction({}, (session) => session.query('COMMIT'));
  await expect(work).rejects.toThrow(/ended by a statement/);
});

test('a read-only transaction refuses to write', async () => {
  const work = fixture.target.transaction({ readOnly: true }, (session) =>
    session.query(`INSERT INTO note VALUES (4, 'no')`),
  );
  await expect(work).rejects.toMatchObject({ code: '25006' });
});

test('limits hold within the transaction only, and the session has a name', async () => {
  const settings = `SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement,
                           current_setting('idle_in_transaction_session_timeout') AS idle,
                           current_setting('application_name') AS name, current_setting('transaction_isolation') AS level`;
  const limited = await fixture.target.transaction(
    { lockTimeoutMs: 1500, statementTimeoutMs: 2500 },
    (session) => session.query(settings),
  );
  expect(limited.rows).toEqual([
    { lock: '1500ms', statement: '2500ms', idle: '1min', name: 'cutover shop', level: 'read committed' },
  ]);
  const free = await fixture.target.transaction({}, (session) => session.query(settings));
  expect(free.rows).toMatchObject([{ lock: '0', statement: '0' }]);
});

test('a session leaves neither settings nor locks nor temporary tables to the next one', async () => {
  const single = createPostgresTarget({ name: 'shop', url: fixture.url, poolSize: 1 });
  const first = await single.session({ lockTimeoutMs: 100 }, async (session) => {
    await session.query('SET search_path = pg_catalog');
    await session.query('CREATE TEMP TABLE leftover (id int)');
    await session.query('SELECT pg_advisory_lock(42)');
    return session.query('SELECT pg_backend_pid() AS pid');
  });
  const second = await single.session({}, (session) =>
    session.query(`SELECT pg_backend_pid() AS pid, current_setting('lock_timeout') AS lock,
                          current_setting('search_path') AS path, to_regclass('pg_temp.leftover') AS temp,
                          (SELECT count(*)::int FROM pg_locks
                            WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks`),
  );
  expect(second.rows).toEqual([
    { pid: first.rows[0]?.pid, lock: '0', path: '"$user", public', temp: null, locks: 0 },
  ]);
  await single.close();
});

test('a session with a transaction left open is not used again', async () => {
  const single = createPostgresTarget({ name: 'shop', url: fixture.url, poolSize: 1 });
  await single.session({}, (session) => session.query(`BEGIN; INSERT INTO note VALUES (5, 'lost')`));
  const next = await single.transaction({}, (session) => session.query('SELECT id FROM note WHERE id = 5'));
  expect(next.rows).toEqual([]);
  await single.close();
});

test('aborting ends the running statement on the server, and rejects with the reason', async () => {
  const abort = new AbortController();
  const reason = new Error('the operator pressed stop');
  const work = fixture.target.transaction({ signal: abort.signal }, async (session) => {
    await session.query(`INSERT INTO note VALUES (6, 'lost')`);
    await session.query(`SELECT pg_sleep(600), 'long sleep'`);
  });
  work.catch(() => undefined);
  await until(async () => (await sessionsRunning('long sleep')).length === 1, { what: 'it runs' });
  expect(await sessionsRunning('long sleep')).toMatchObject([{ application_name: 'cutover shop' }]);
  abort.abort(reason);
  await expect(work).rejects.toBe(reason);
  expect(await sessionsRunning('long sleep')).toEqual([]);
  expect(await fixture.sql('SELECT id FROM note WHERE id = 6')).toEqual([]);
});

test('aborting frees the locks of the transaction before it rejects', async () => {
  const abort = new AbortController();
  const work = fixture.target.transaction({ signal: abort.signal }, async (session) => {
    await session.query('LOCK TABLE note IN ACCESS EXCLUSIVE MODE');
    await session.query(`SELECT pg_sleep(600), 'locked sleep'`);
  });
  work.catch(() => undefined);
  await until(async () => (await sessionsRunning('locked sleep')).length === 1, { what: 'it runs' });
  abort.abort();
  await expect(work).rejects.toThrow();
  await fixture.sql('BEGIN; LOCK TABLE note IN ACCESS EXCLUSIVE MODE NOWAIT; COMMIT');
});

test('aborting while waiting for a lock ends the wait', async () => {
  const lock = await holdLock(fixture, 'note');
  const abort = new AbortController();
  const work = fixture.target.session({ signal: abort.signal }, (session) =>
    session.query('ALTER TABLE note ADD COLUMN IF NOT EXISTS more int'),
  );
  work.catch(() => undefined);
  await until(async () => (await sessionsRunning('ADD COLUMN IF NOT EXISTS more')).length === 1, {
    what: 'it waits',
  });
  abort.abort();
  await expect(work).rejects.toBe(abort.signal.reason);
  expect(await sessionsRunning('ADD COLUMN IF NOT EXISTS more')).toEqual([]);
  await lock.release();
});

test('an abort between statements stops the work at the next one', async () => {
  const abort = new AbortController();
  const reason = new Error('the operator pressed stop');
  const work = fixture.target.transaction({ signal: abort.signal }, async (session) => {
    await session.query(`INSERT INTO note VALUES (7, 'lost')`);
    abort.abort(reason);
    await session.query('SELECT 1');
  });
  await expect(work).rejects.toBe(reason);
  expect(await fixture.sql('SELECT id FROM note WHERE id = 7')).toEqual([]);
});

test('an abort while waiting for a free connection rejects at once and gives the connection back', async () => {
  const single = createPostgresTarget({ name: 'shop', url: fixture.url, poolSize: 1 });
  const abort = new AbortController();
  let release: (() => void) | undefined;
  let lent: (() => void) | undefined;
  const isLent = new Promise<void>((resolve) => {
    lent = resolve;
  });
  const holder = single.session({}, () => {
    lent?.();
    return new Promise<void>((resolve) => {
      release = resolve;
    });
  });
  await isLent;
  const waiting = single.session({ signal: abort.signal }, async () => 'never');
  abort.abort();
  await expect(waiting).rejects.toBe(abort.signal.reason);
  release?.();
  await holder;
  expect(await single.session({}, async () => 'lent again')).toBe('lent again');
  await single.close();
});

test('an abort rejects in time although the network has gone silent', async () => {
  const network = await startProxy(fixture.url);
  const target = createPostgresTarget({ name: 'shop', url: network.url, poolSize: 1, cancelGraceMs: 200 });
  const abort = new AbortController();
  const work = target.session({ signal: abort.signal }, (session) =>
    session.query(`SELECT pg_sleep(600), 'sleep behind the proxy'`),
  );
  work.catch(() => undefined);
  await until(async () => (await sessionsRunning('sleep behind the proxy')).length === 1, {
    what: 'it runs',
  });
  network.silence();
  abort.abort();
  await expect(work).rejects.toBe(abort.signal.reason);
  network.close();
  await target.close();
});

test('a killed backend rejects its work as retryable, and the next work gets a new one', async () => {
  const work = fixture.target.transaction({}, (session) =>
    session.query(`SELECT pg_sleep(600), 'to be killed'`),
  );
  work.catch(() => undefined);
  await until(async () => (await sessionsRunning('to be killed')).length === 1, { what: 'it runs' });
  const [running] = await sessionsRunning('to be killed');
  await fixture.sql('SELECT pg_terminate_backend($1)', [running?.pid]);
  const error = await work.catch((caught: unknown) => caught);
  expect(classifySqlError(error)).toBe('retryable');
  const next = await fixture.target.transaction({}, (session) =>
    session.query('SELECT pg_backend_pid() AS pid'),
  );
  expect(next.rows[0]?.pid).not.toBe(running?.pid);
});

test('a backend killed between two statements of a transaction does not end the process', async () => {
  const work = fixture.target.transaction({}, async (session) => {
    const { rows } = await session.query('SELECT pg_backend_pid() AS pid');
    await fixture.sql('SELECT pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
    await session.query('SELECT 1');
  });
  const error = await work.catch((caught: unknown) => caught);
  expect(classifySqlError(error)).toBe('retryable');
});

test('idle connections that die are reported and replaced', async () => {
  const errors: Error[] = [];
  const idle = createPostgresTarget({
    name: 'shop',
    url: fixture.url,
    poolSize: 1,
    onIdleError: (error) => errors.push(error),
  });
  const { rows } = await idle.transaction({}, (session) => session.query('SELECT pg_backend_pid() AS pid'));
  await fixture.sql('SELECT pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
  await until(async () => errors.length > 0, { what: 'the pool hears of it' });
  const next = await idle.transaction({}, (session) => session.query('SELECT 1 AS one'));
  expect(next.rows).toEqual([{ one: 1 }]);
  await idle.close();
});

test('a wait for a lock ends after lock_timeout', async () => {
  const lock = await holdLock(fixture, 'note');
  const work = fixture.target.transaction({ lockTimeoutMs: 50 }, (session) =>
    session.query('SELECT * FROM note'),
  );
  const error = await work.catch((caught: unknown) => caught);
  expect(sqlState(error)).toBe('55P03');
  await lock.release();
});

test('a server that accepts and never answers is given up after the connection timeout', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const target = createPostgresTarget({
    name: 'shop',
    url: `postgres://nobody@127.0.0.1:${portOf(silent)}/none`,
    poolSize: 1,
    connectionTimeoutMs: 100,
  });
  const error = await target.session({}, async () => 'never').catch((caught: unknown) => caught);
  expect(classifySqlError(error)).toBe('retryable');
  silent.close();
});

test('columns come with their names in order, also those that share one', async () => {
  const result = await fixture.target.transaction({}, (session) =>
    session.query('SELECT 1 AS b, 2 AS a, 3 AS b'),
  );
  expect(result).toEqual({ rows: [{ b: 3, a: 2 }], rowCount: 1, columns: ['b', 'a', 'b'] });
});
