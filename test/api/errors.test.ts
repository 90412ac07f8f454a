import { afterAll, beforeAll, expect, test } from 'vitest';
import { openControlDb } from '../../src/db/control-db.ts';
import { apiOver, planDocument, startTestApi, unreachableTemporal } from './test-api.ts';

let api: Awaited<ReturnType<typeof startTestApi>>;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api?.close());

test('every problem of a request is told at once, with its path', async () => {
  const { status, body } = await api.call('operator', 'POST', '/api/runs', {
    payload: { timeScale: 0, batchSize: 1.5, colour: 'red' },
  });
  expect(status).toBe(400);
  expect(body.type).toBe('urn:cutover:problem:invalid-request');
  expect((body.problems as { path: string }[]).map(({ path }) => path).sort()).toEqual([
    'body.batchSize',
    'body.colour',
    'body.plan',
    'body.timeScale',
  ]);
});

test('a value that is not one of the possible ones gets the possible ones', async () => {
  const { status, body } = await api.call('viewer', 'GET', '/api/runs?status=asleep&limit=0');
  expect(status).toBe(400);
  expect(body.problems).toMatchObject([
    { path: 'query.status', fix: expect.stringContaining('awaiting_approval') },
    { path: 'query.limit' },
  ]);
});

test('JSON that cannot be read is a 400, a body that is too large a 413, an unknown type a 415', async () => {
  const post = (payload: string, type: string) =>
    api.call('admin', 'POST', '/api/plans', { payload, headers: { 'content-type': type } });
  expect((await post('{"name": ', 'application/json')).body).toMatchObject({
    status: 400,
    title: expect.any(String),
  });
  expect((await post(`"${'x'.repeat(1_100_000)}"`, 'application/json')).body).toMatchObject({ status: 413 });
  for (const type of ['text/csv', 'text/plain']) {
    expect((await post('a,b', type)).body).toMatchObject({
      status: 415,
      detail: expect.stringContaining('application/yaml'),
    });
  }
});

test('an empty body is no body, also when the request says that it is JSON', async () => {
  const send = (method: 'GET' | 'POST', path: string) =>
    api.call('operator', method, path, { headers: { 'content-type': 'application/json' } });
  expect((await send('POST', '/api/runs/no-such-run/pause')).body).toMatchObject({ status: 404 });
  expect((await send('POST', '/api/runs')).body).toMatchObject({ status: 400, problems: [{ path: 'body' }] });
});

test.each(['/api/runs/%zz', `/api/runs/${'y'.repeat(5_000)}`])(
  'a path that cannot be read is a 400: %.20s',
  async (path) => {
    const { status, body, headers } = await api.call('viewer', 'GET', path);
    expect(status).toBe(400);
    expect(headers['content-type']).toMatch('application/problem+json');
    expect(body.type).toBe('urn:cutover:problem:invalid-request');
  },
);

test.each([
  ['GET', '/api/runs/%00', undefined, 404],
  ['GET', '/api/plans/%00', undefined, 404],
  ['GET', '/api/runs?plan=%00', undefined, 200],
  ['GET', '/api/runs?before=%00', undefined, 200],
  ['GET', '/api/plans/any?version=2147483648', undefined, 400],
  ['POST', '/api/runs', { plan: '\0' }, 404],
  ['POST', '/api/runs', { plan: 'any', version: 2_147_483_648 }, 400],
  ['POST', '/api/runs/none/pause', { reason: 'a\0b\ud800' }, 404],
  ['POST', '/api/plans', planDocument({ description: 'a\0b' }), 422],
  ['POST', '/api/plans', planDocument({ description: 'a\ud800b' }), 422],
] as const)(
  'what no database keeps is no internal error: %s %s %j',
  async (method, path, payload, expected) => {
    const { status } = await api.call('admin', method, path, payload === undefined ? {} : { payload });
    expect(status).toBe(expected);
  },
);

test('an unknown path is a problem too', async () => {
  const { status, body, headers } = await api.call('viewer', 'GET', '/api/nothing?x=1');
  expect(status).toBe(404);
  expect(headers['content-type']).toMatch('application/problem+json');
  expect(body).toMatchObject({ instance: '/api/nothing', detail: expect.stringContaining('/api/docs') });
});

test.each(['', '/events', '/report', '/exceptions', '/gates'])(
  'an unknown run is a 404 with help at %s',
  async (path) => {
    const { status, body } = await api.call('viewer', 'GET', `/api/runs/no-such-run${path}`);
    expect(status).toBe(404);
    expect(body.detail).toContain('There is no run "no-such-run"');
  },
);

test('a fault of our own shows nothing of itself, and is in the log under the request id', async () => {
  // A row that no code of ours would write: its plan is gone.
  await api.db.pool.query(
    `INSERT INTO cutover_control.runs (id, plan_name, plan_version, plan_hash, target, status, started_by, starter_role)
     VALUES ('orphan', 'gone', 7, 'h', 'shop', 'running', 'ana', 'operator')`,
  );
  const { status, body, headers, text } = await api.call('viewer', 'GET', '/api/runs/orphan');
  expect(status).toBe(500);
  expect(text).not.toContain('pinned');
  expect(headers['x-request-id']).toBe(body.requestId);
  const line = api.log.find((logged) => logged.includes('pinned to gone 7'));
  expect(JSON.parse(line ?? '{}')).toMatchObject({ level: 50, reqId: body.requestId });
  await api.db.pool.query("DELETE FROM cutover_control.runs WHERE id = 'orphan'");
});

test('without its database the API says so, and still answers whether it is up', async () => {
  const db = openControlDb('postgresql://nobody@127.0.0.1:1/nowhere');
  const cut = apiOver({ db, temporal: api.temporal }, api.databaseUrl);
  try {
    const { status, body, headers } = await cut.call('viewer', 'GET', '/api/runs');
    expect(status).toBe(503);
    expect(headers['retry-after']).toBe('5');
    expect(body.type).toBe('urn:cutover:problem:control-database-unreachable');
    expect((await cut.call(undefined, 'GET', '/healthz')).status).toBe(200);
    expect(await cut.call(undefined, 'GET', '/readyz')).toMatchObject({
      status: 503,
      body: { ready: false, database: { ok: false, detail: 'ECONNREFUSED' }, temporal: { ok: true } },
    });
    const metrics = await cut.call(undefined, 'GET', '/metrics');
    expect(metrics.status).toBe(200);
    expect(metrics.text).toContain('process_cpu_seconds_total');
  } finally {
    await cut.close();
    await db.close();
  }
});

test('without Temporal nothing is started or written, and the answer says why', async () => {
  const { temporal, close } = unreachableTemporal();
  const cut = apiOver({ db: api.db, temporal }, api.databaseUrl);
  try {
    const plan = planDocument();
    await cut.call('admin', 'POST', '/api/plans', { payload: plan });
    const start = await cut.call('operator', 'POST', '/api/runs', { payload: { plan: plan.name } });
    expect(start).toMatchObject({
      status: 503,
      body: {
        type: 'urn:cutover:problem:temporal-unreachable',
        detail: expect.stringContaining('so nothing was started'),
      },
    });
    expect((await cut.call('viewer', 'GET', `/api/runs?plan=${plan.name}`)).body).toEqual({
      runs: [],
      next: null,
    });
    const dry = await cut.call('operator', 'POST', `/api/plans/${plan.name}/dry-run`);
    expect(dry.status).toBe(503);
    expect(await cut.call(undefined, 'GET', '/readyz')).toMatchObject({
      status: 503,
      body: { database: { ok: true }, temporal: { ok: false } },
    });
  } finally {
    await cut.close();
    await close();
  }
});
