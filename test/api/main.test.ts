import { once } from 'node:events';
import { createServer } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../src/api/main.ts';
import { readSse } from '../../src/cli/sse.ts';
import { recordEvent } from '../../src/db/run-events.ts';
import { useControlDatabase } from '../db/control-database.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createTestNamespace } from '../support/temporal.ts';
import { until } from '../support/until.ts';
import { planDocument, TOKENS } from './test-api.ts';

const control = useControlDatabase();
let temporal: { address: string; namespace: string };
let empty: TestDatabase;
beforeAll(async () => {
  [temporal, empty] = await Promise.all([createTestNamespace(), createTestDatabase()]);
});
afterAll(() => empty?.drop());

const logger = pino({ level: 'silent' });

function start(changes: Partial<Parameters<typeof startApi>[0]> = {}): Promise<RunningApi> {
  const targets = { shop: { url: 'postgresql://127.0.0.1:1/shop', poolSize: 1 } };
  const where = { databaseUrl: control.url, temporal, host: '127.0.0.1', port: 0 };
  return startApi({ ...where, tokens: TOKENS, targets, logLevel: 'silent', ...changes }, { logger });
}

const call = (api: RunningApi, path: string, init: RequestInit = {}) =>
  fetch(api.url + path, {
    ...init,
    headers: {
      authorization: `Bearer ${TOKENS.at(-1)?.token}`,
      'content-type': 'application/json',
      ...init.headers,
    },
  });

/** Connections that processes of ours have to a database. */
async function connectionsTo(name: string): Promise<number> {
  const { rows } = await control.db.pool.query(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE 'cutover-%'",
    [name],
  );
  return rows[0].n;
}

test('it migrates an empty control database, listens on a free port of loopback and is ready', async () => {
  const api = await start({ databaseUrl: empty.url });
  try {
    expect(api.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const ready = await call(api, '/readyz');
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { ready: true, database: { ok: true }, temporal: { ok: true } },
    ]);
    expect(await (await call(api, '/api/plans')).json()).toEqual({ plans: [] });
  } finally {
    await api.close();
  }
  await until(async () => (await connectionsTo(empty.name)) === 0, { what: 'every connection to be closed' });
});

test('it starts without a Temporal server, says that it is missing, and closes', async () => {
  const api = await start({ temporal: { address: '127.0.0.1:1', namespace: 'default' } });
  try {
    const ready = await call(api, '/readyz');
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({
      ready: false,
      database: { ok: true },
      temporal: { ok: false },
    });
  } finally {
    await api.close();
  }
});

test('it does not start without its database, or on a port that is taken, and leaves nothing open', async () => {
  await expect(start({ databaseUrl: 'postgresql://127.0.0.1:1/nowhere' })).rejects.toThrow();
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  try {
    await expect(start({ databaseUrl: empty.url, port })).rejects.toThrow(/EADDRINUSE/);
    await until(async () => (await connectionsTo(empty.name)) === 0, {
      what: 'every connection to be closed',
    });
  } finally {
    taken.close();
  }
});

test('closing lets requests finish, ends event streams and refuses new connections', async () => {
  const api = await start();
  const plan = planDocument();
  await call(api, '/api/plans', { method: 'POST', body: JSON.stringify(plan) });
  const started = await call(api, '/api/runs', { method: 'POST', body: JSON.stringify({ plan: plan.name }) });
  const { id } = (await started.json()) as { id: string };
  const events = await call(api, `/api/runs/${id}/events`, { headers: { accept: 'text/event-stream' } });
  // No worker runs here, so this request takes its two seconds.
  const slow = call(api, `/api/plans/${plan.name}/dry-run`, {
    method: 'POST',
    body: JSON.stringify({ wait: 2 }),
  });
  await until(
    async () => (await control.db.pool.query('SELECT 1 FROM cutover_control.dry_runs')).rows.length > 0,
    { what: 'the slow request to be under way' },
  );
  await recordEvent(control.db, { runId: id, type: 'note', message: 'seen by the stream' });
  const messages = readSse(events.body ?? new ReadableStream());
  expect((await messages.next()).value).toMatchObject({ event: 'note' });
  const closed = api.close();
  expect((await messages.next()).done).toBe(true);
  expect((await slow).status).toBe(202);
  const answered = Date.now();
  await closed;
  expect(Date.now() - answered).toBeLessThan(3_000);
  await expect(call(api, '/healthz')).rejects.toThrow();
});
