import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { listAudit } from '../../src/db/audit.ts';
import { listLog } from '../../src/db/migration-log.ts';
import { type System, startSystem } from '../support/system.ts';
import { uniqueName } from '../support/unique-name.ts';
import { until } from '../support/until.ts';
import { type Answer, apiOver, type TestApi } from './test-api.ts';

// The whole system behind the API: a worker, a target database, a Temporal server.
let system: System;
let api: TestApi;
beforeAll(async () => {
  system = await startSystem({
    setup: [
      `CREATE TABLE orders (id int PRIMARY KEY, typed text NOT NULL, customer int, checked varchar(3), secret text)`,
      `CREATE TABLE feature_flags (name text PRIMARY KEY, enabled boolean NOT NULL DEFAULT false, rollout_percentage int NOT NULL DEFAULT 0)`,
      `INSERT INTO feature_flags VALUES ('customers')`,
    ],
    transforms: [fileURLToPath(new URL('../fixtures/order-transforms.ts', import.meta.url))],
  });
  const { db, client: temporal } = system;
  api = apiOver({ db, temporal, targets: ['app'] }, system.config.databaseUrl);
});
afterAll(async () => {
  await api?.close();
  await system?.close();
});

/** 20 orders, of which these are typed otherwise. */
const typed: Record<number, string> = { 2: '200 or 201', 3: '300 or 301', 10: 'Ann', 12: 'Bob' };
beforeEach(async () => {
  await system.target.query('TRUNCATE orders');
  await system.target.query('INSERT INTO orders SELECT n, n::text FROM generate_series(1, 20) AS n');
  for (const [id, text] of Object.entries(typed)) {
    await system.target.query('UPDATE orders SET typed = $2 WHERE id = $1', [id, text]);
  }
});

const byTransform = {
  kind: 'backfill',
  name: 'fill',
  table: 'orders',
  transform: { kind: 'registered', name: 'customer-of', version: 1 },
};
const bySql = {
  ...byTransform,
  transform: { kind: 'sql', set: { customer: 'typed::int' } },
  onFailure: 'hold',
  errorBudget: { rows: 2, share: 1 },
};
const validate = {
  kind: 'validate',
  name: 'verify',
  noOpenExceptions: true,
  queries: [{ name: 'all', sql: 'SELECT count(*) FROM orders', expect: { kind: 'informational' } }],
};
const hold = {
  kind: 'rollout',
  name: 'roll-out',
  flag: { name: 'customers' },
  stages: [{ percentage: 10, hold: '1d' }],
};

async function start(phases: unknown[], timeScale = 1): Promise<string> {
  const plan = uniqueName('orders');
  const registered = await api.call('admin', 'POST', '/api/plans', {
    payload: { name: plan, target: 'app', phases },
  });
  expect([registered.status, registered.text]).toEqual([201, expect.any(String)]);
  const { status, body } = await api.call('operator', 'POST', '/api/runs', { payload: { plan, timeScale } });
  expect(status).toBe(201);
  return String(body.id);
}

const show = async (id: string) => (await api.call('viewer', 'GET', `/api/runs/${id}`)).body;
const reach = (id: string, status: string) =>
  until(
    async () => {
      const run = await show(id);
      return run.status === status ? run : undefined;
    },
    { what: `run ${status}` },
  );
const atRollout = (id: string) =>
  until(async () => (await show(id)).phase === 'roll-out' || undefined, { what: 'the rollout' });
const fillOf = async (id: string) =>
  ((await show(id)).phases as { name: string; progress: { counts: unknown } }[]).find(
    ({ name }) => name === 'fill',
  );

type Exception = { id: string; key: string[]; status: string; reason: string };
const list = async (id: string, query = '') =>
  (await api.call('viewer', 'GET', `/api/runs/${id}/exceptions?${query}`)).body.exceptions as Exception[];
const idOf = async (run: string, key: string) => (await list(run)).find((row) => row.key[0] === key)?.id;
const post = (
  run: string,
  path: string,
  payload: Record<string, unknown> = {},
  role: 'operator' | 'viewer' = 'operator',
): Promise<Answer> => api.call(role, 'POST', `/api/runs/${run}/exceptions/${path}`, { payload });
const customers = async (...ids: number[]) =>
  (await system.target.query('SELECT customer FROM orders WHERE id = ANY ($1) ORDER BY id', [ids])).rows.map(
    ({ customer }) => customer as number | null,
  );
const end = async (run: string) => {
  await api.call('operator', 'POST', `/api/runs/${run}/rollback`);
  await reach(run, 'rolled_back');
};

test('a run that holds until every row is decided goes on once people have decided them', async () => {
  const run = await start([byTransform, validate], 100_000);
  const held = await reach(run, 'held');
  expect(held.reason).toBe(
    '"verify" has not begun: 4 exceptions of the run are open (4 ambiguous of "fill"), and it begins only when none is; ' +
      'resolve, replay or skip them; resume looks again',
  );
  expect((await list(run)).map(({ key, reason }) => [key[0], reason])).toEqual([
    ['2', 'two customers match'],
    ['3', 'two customers match'],
    ['10', '"Ann" names no customer'],
    ['12', '"Bob" names no customer'],
  ]);
  const { body } = await api.call('viewer', 'GET', `/api/runs/${run}/exceptions/reasons?status=open`);
  expect(body.reasons).toMatchObject([
    { reason: 'two customers match', exceptions: 2, acceptable: 2 },
    { reason: '"Ann" names no customer', exceptions: 1, acceptable: 0 },
    { reason: '"Bob" names no customer', exceptions: 1 },
  ]);

  await api.call('operator', 'POST', `/api/runs/${run}/resume`);
  await reach(run, 'held');
  const accepted = await post(run, 'resolve', {
    filter: { reason: 'two customers match' },
    acceptSuggestion: true,
    reason: 'the first is always right',
  });
  expect([accepted.status, accepted.body]).toEqual([
    200,
    { resolved: 2, replayed: 0, skipped: 0, left: 0, examples: [], unknown: [] },
  ]);
  const ann = await post(run, `${await idOf(run, '10')}/resolve`, {
    values: { customer: 1_000, checked: 'yes' },
  });
  expect(ann).toMatchObject({
    status: 200,
    body: {
      key: ['10'],
      status: 'resolved',
      value: { customer: 1_000, checked: 'yes' },
      decidedBy: 'operator-ann',
    },
  });
  const bob = await post(run, `${await idOf(run, '12')}/skip`, { reason: 'a test order' });
  expect(bob).toMatchObject({ status: 200, body: { status: 'skipped', note: 'a test order' } });
  expect(await customers(2, 3, 10, 12)).toEqual([200, 300, 1_000, null]);
  expect((await fillOf(run))?.progress.counts).toEqual({
    processed: 20,
    migrated: 19,
    skipped: 1,
    ambiguous: 0,
    failed: 0,
  });

  await api.call('operator', 'POST', `/api/runs/${run}/resume`);
  await reach(run, 'completed');
  expect(await listAudit(system.db, { subject: run, limit: 10 })).toMatchObject([
    { action: 'resume' },
    { action: 'skip-exceptions', details: { reason: 'a test order' } },
    { action: 'resolve-exceptions', actor: 'operator-ann' },
    { action: 'resolve-exceptions', details: { filter: { reason: 'two customers match' } } },
    { action: 'resume' },
    { action: 'start' },
  ]);
  expect(await listLog(system.db, { runId: run, limit: 10 })).toMatchObject([
    { action: 'resolve', processed: 1, succeeded: 1, performedBy: 'operator-ann' },
    { action: 'resolve', processed: 2, succeeded: 2, outcome: '2 resolved, 0 skipped, 0 left open' },
    { action: 'backfill', ambiguous: 4 },
  ]);
  const events = await api.call('viewer', 'GET', `/api/runs/${run}/events?limit=500`, {
    headers: { accept: 'application/json' },
  });
  const messages = (events.body.events as { message: string }[]).map(({ message }) => message);
  expect(messages).toContain('2 exceptions resolved by operator-ann: the first is always right');
  expect(messages).toContain('1 exception skipped by operator-ann: a test order');
});

test('a run whose error budget was exceeded goes on once its rows are corrected and replayed', async () => {
  const run = await start([bySql, { ...validate, noOpenExceptions: false }], 100_000);
  const held = await reach(run, 'held');
  expect(held.reason).toContain('rows failed; the error budget allows 2');
  const [first] = await list(run, 'sqlstate=22P02');
  const shown = await api.call('viewer', 'GET', `/api/runs/${run}/exceptions/${first?.id}`);
  expect(shown.body).toMatchObject({
    key: ['2'],
    message: expect.stringContaining('"200 or 201"'),
    statement: expect.stringMatching(/^UPDATE public\.orders SET "customer" = \(typed::int/),
    parameters: ['2'],
  });
  // Texts that no database takes are texts that no exception has.
  expect(await list(run, 'reasonContains=%00')).toEqual([]);
  expect(await list(run, `after=${Buffer.from('["\\u0000",1]').toString('base64url')}`)).toEqual([]);
  expect((await post(run, 'skip', { filter: { reasonContains: '\0' }, reason: 'none' })).body).toMatchObject({
    skipped: 0,
    left: 0,
  });
  await system.target.query(`UPDATE orders SET typed = '77' WHERE id IN (2, 3)`);
  expect((await post(run, 'replay', { filter: { kind: 'failed', sqlstate: '22P02' } })).body).toMatchObject({
    replayed: 2,
    left: 2,
    examples: [{ key: ['10'], why: expect.stringContaining('"Ann"') }, { key: ['12'] }],
  });
  await api.call('operator', 'POST', `/api/runs/${run}/resume`);
  await reach(run, 'completed');
  expect(await customers(2, 3, 10)).toEqual([77, 77, null]);
  expect((await fillOf(run))?.progress.counts).toMatchObject({ processed: 20, migrated: 18, failed: 2 });
});

test('a run that is held before its point of no return can still be rolled back', async () => {
  const run = await start([byTransform, { ...validate, pointOfNoReturn: true }]);
  await reach(run, 'held');
  expect((await show(run)).commands).toEqual(['resume', 'rollback']);
  expect((await show(run)).phases).toMatchObject([{ state: 'completed' }, { state: 'pending' }]);
  await post(run, 'resolve', { filter: { all: true }, acceptSuggestion: true });
  await end(run);
  expect((await system.target.query('SELECT FROM orders WHERE customer IS NOT NULL')).rowCount).toBe(0);
  const late = await post(run, 'replay', { filter: { all: true } });
  expect(late).toMatchObject({
    status: 409,
    body: { type: 'urn:cutover:problem:command-refused', runId: run },
  });
});

describe('a decision', () => {
  let run: string;
  beforeEach(async () => {
    run = await start([byTransform, hold]);
    await atRollout(run);
    return () => end(run);
  });

  test('is refused with what to do instead', async () => {
    const ann = await idOf(run, '10');
    expect(await post(run, '4711/skip', { reason: 'x' })).toMatchObject({ status: 404 });
    expect(await post(run, 'abc/skip', { reason: 'x' })).toMatchObject({ status: 400 });
    expect(await post(run, `${ann}/skip`)).toMatchObject({ status: 400 });
    expect(await post(run, `${ann}/skip`, { reason: 'x' }, 'viewer')).toMatchObject({ status: 403 });
    expect(await post(run, 'skip', { reason: 'x', filter: { phase: 'fill' } })).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining('say which') },
    });
    expect(await post(run, 'skip', { reason: 'x', filter: { all: true, phase: 'nowhere' } })).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining('its backfills are: fill') },
    });
    expect(await post(run, `${ann}/resolve`, {})).toMatchObject({ status: 400 });
    expect(
      await post(run, `${ann}/resolve`, { acceptSuggestion: true, values: { customer: 1 } }),
    ).toMatchObject({
      status: 400,
    });
    const value = (values: Record<string, unknown>) => post(run, `${ann}/resolve`, { values });
    expect(await value({ customer: 'many' })).toMatchObject({
      status: 422,
      body: {
        type: 'urn:cutover:problem:value-refused',
        detail: 'column "customer" (integer): invalid input syntax for type integer: "many".',
      },
    });
    expect((await value({ typed: '1' })).body.detail).toContain('it writes checked, customer');
    expect((await value({ checked: 'very' })).body.detail).toContain('too long for column "checked"');
    expect(await post(run, `${ann}/resolve`, { acceptSuggestion: true })).toMatchObject({
      status: 409,
      body: {
        type: 'urn:cutover:problem:exception-undecided',
        detail: expect.stringContaining('no suggestion'),
      },
    });
    expect((await list(run)).every(({ status }) => status === 'open')).toBe(true);

    await value({ customer: 1 });
    expect(await value({ customer: 2 })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('resolved already by operator-ann') },
    });
    expect(await customers(10)).toEqual([1]);
  });

  test('made twice by the same key is carried out once', async () => {
    const headers = { 'idempotency-key': uniqueName('key') };
    const payload = { filter: { reason: 'two customers match' }, acceptSuggestion: true };
    const url = `/api/runs/${run}/exceptions/resolve`;
    const first = await api.call('operator', 'POST', url, { headers, payload });
    const second = await api.call('operator', 'POST', url, { headers, payload });
    expect(first.body).toMatchObject({ resolved: 2 });
    expect(second.body).toEqual(first.body);
    const resolved = (await listLog(system.db, { runId: run, limit: 10 })).filter(
      ({ action }) => action === 'resolve',
    );
    expect(resolved).toMatchObject([{ succeeded: 2 }]);
  });

  test('overwrites no change, and shows a row that was derived again and is still undecided', async () => {
    await system.target.query(`UPDATE orders SET typed = 'Cid' WHERE id = 2`);
    const two = await idOf(run, '2');
    expect(await post(run, `${two}/resolve`, { acceptSuggestion: true })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('changed since it was set aside') },
    });
    expect(await post(run, `${two}/replay`)).toMatchObject({
      status: 200,
      body: { id: two, status: 'open', reason: '"Cid" names no customer', acceptable: false },
    });
  });

  test('is taken back by undoing its row, which is logged', async () => {
    await post(run, 'resolve', { filter: { all: true }, acceptSuggestion: true });
    await api.call('operator', 'POST', `/api/runs/${run}/undo-rows`, { payload: { keys: [2, 5] } });
    expect(await customers(2, 3, 5)).toEqual([null, 300, null]);
    expect((await list(run, 'status=open')).map(({ key }) => key[0])).toEqual(['2', '10', '12']);
    expect(await listLog(system.db, { runId: run, limit: 1 })).toMatchObject([
      { action: 'undo-rows', processed: 2, succeeded: 2, outcome: '2 restored, 0 kept, 0 unknown' },
    ]);
  });
});

test('values of a redacted column are not sent through Temporal or the control database', async () => {
  const run = await start([{ ...byTransform, redact: ['customer', 'typed'] }, hold]);
  await atRollout(run);
  const ann = await idOf(run, '10');
  const refused = await post(run, `${ann}/resolve`, { values: { customer: 4_711 } });
  expect(refused).toMatchObject({
    status: 422,
    body: { detail: expect.stringContaining('is redacted by the plan') },
  });
  expect(await post(run, 'resolve', { filter: { all: true }, acceptSuggestion: true })).toMatchObject({
    body: { resolved: 2, left: 2 },
  });
  const told = JSON.stringify([await list(run), await listAudit(system.db, { subject: run, limit: 10 })]);
  expect(told).not.toMatch(/200|300|4711|Ann\b/);
  expect(await customers(2, 3)).toEqual([200, 300]);
  await end(run);
});
