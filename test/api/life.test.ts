import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { readSse } from '../../src/cli/sse.ts';
import { listAudit } from '../../src/db/audit.ts';
import { runStatement } from '../../src/dev/database.ts';
import { backfill, PEOPLE, rollout, schema } from '../fixtures/people.ts';
import { type System, startSystem } from '../support/system.ts';
import { uniqueName } from '../support/unique-name.ts';
import { until } from '../support/until.ts';
import { apiOver, type TestApi, TOKENS } from './test-api.ts';

// The whole system behind the API: a worker, a target database, a Temporal server.
let system: System;
let api: TestApi;
beforeAll(async () => {
  system = await startSystem({ setup: PEOPLE });
  const { db, client: temporal } = system;
  api = apiOver({ db, temporal, targets: ['app', 'unserved'] }, system.config.databaseUrl);
});
afterAll(async () => {
  await api?.close();
  await system?.close();
});
beforeEach(async () => {
  await system.target.query('ALTER TABLE people DROP COLUMN IF EXISTS full_name');
  await system.target.query('UPDATE feature_flags SET enabled = false, rollout_percentage = 0');
});

const FAST = { timeScale: 100_000 };
const approval = { kind: 'approval', name: 'go-live', people: ['viewer-ann'] };

async function register(...phases: unknown[]): Promise<string> {
  return registerDocument({ target: 'app', phases });
}

async function registerDocument(document: Record<string, unknown>): Promise<string> {
  const name = uniqueName('people');
  const { status, text } = await api.call('admin', 'POST', '/api/plans', { payload: { name, ...document } });
  expect([status, text]).toEqual([201, expect.any(String)]);
  return name;
}

async function start(plan: string, more: Record<string, unknown> = FAST): Promise<string> {
  const { status, body } = await api.call('operator', 'POST', '/api/runs', { payload: { plan, ...more } });
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

test('a plan is tried, run, watched, refused, approved and reported over HTTP alone', async () => {
  const plan = await register(schema, backfill, approval, rollout);

  const dry = await api.call('operator', 'POST', `/api/plans/${plan}/dry-run`, { payload: { limit: 50 } });
  expect(dry.status).toBe(200);
  expect(dry.body).toMatchObject({
    report: {
      problems: [],
      phases: [{ name: 'expand' }, { name: 'fill', details: { counts: { migrated: 50 } } }, {}, {}],
    },
  });
  expect((await api.call('viewer', 'GET', `/api/dry-runs/${dry.body.id}`)).body).toMatchObject({
    state: 'finished',
    plan,
    version: 1,
    performedBy: 'operator-ann',
    report: (dry.body as { report: unknown }).report,
  });

  const id = await start(plan);
  const events = await fetch(`${await api.listen()}/api/runs/${id}/events`, {
    headers: { authorization: `Bearer ${TOKENS[0]?.token}`, accept: 'text/event-stream' },
  });
  const waiting = await reach(id, 'awaiting_approval');
  expect(waiting).toMatchObject({
    phase: 'go-live',
    waitingFor: expect.stringContaining('an approval of "go-live"'),
    commands: ['approve', 'reject', 'rollback'],
  });

  const refused = await api.call('operator', 'POST', `/api/runs/${id}/advance`);
  expect(refused.status).toBe(409);
  expect(refused.body).toMatchObject({
    type: 'urn:cutover:problem:command-refused',
    state: 'awaiting_approval',
    role: 'operator',
    detail: expect.stringContaining('what it takes now: approve, reject, rollback'),
  });
  expect(await api.call('operator', 'POST', `/api/runs/${id}/approve`)).toMatchObject({
    status: 403,
    body: { role: 'operator', required: 'approver' },
  });
  // A viewer whom the plan names may approve.
  const approved = await api.call('viewer', 'POST', `/api/runs/${id}/approve`, {
    payload: { reason: 'looks good' },
  });
  expect(approved.status).toBe(200);

  const types: string[] = [];
  const ids: number[] = [];
  for await (const message of readSse(events.body ?? new ReadableStream())) {
    types.push(message.event);
    if (message.event !== 'end') ids.push(Number(message.id));
  }
  expect(types.at(-1)).toBe('end');
  expect(new Set(types)).toEqual(
    new Set(['run', 'phase', 'progress', 'command', 'flag', 'stage', 'gate', 'note', 'end']),
  );
  expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));

  const done = await show(id);
  expect(done).toMatchObject({ status: 'completed', waitingFor: null, commands: [] });
  expect(done.gates).toMatchObject([{ gate: 'error-rate', percentage: 100, verdict: 'pass' }]);
  expect((done.phases as { progress: unknown }[])[1]?.progress).toMatchObject({
    share: 1,
    counts: { processed: 1000, migrated: 1000 },
  });

  const report = (await api.call('viewer', 'GET', `/api/runs/${id}/report`)).body;
  expect(report).toMatchObject({
    run: { status: 'completed' },
    log: [{ action: 'backfill', processed: 1000, succeeded: 1000, outcome: 'completed' }],
    exceptions: [],
  });
  const trail = await listAudit(system.db, { subject: id, limit: 10 });
  expect(trail.map(({ actor, action, accepted }) => [actor, action, accepted]).reverse()).toEqual([
    ['operator-ann', 'start', true],
    ['operator-ann', 'advance', false],
    ['operator-ann', 'approve', false],
    ['viewer-ann', 'approve', true],
  ]);
});

test('a run is rolled back over HTTP, and then takes no more commands', async () => {
  const id = await start(await register(schema, backfill, approval));
  await reach(id, 'awaiting_approval');
  const payload = { reason: 'second thoughts' };
  const answer = await api.call('operator', 'POST', `/api/runs/${id}/rollback`, { payload });
  expect(answer.status).toBe(200);
  const run = await reach(id, 'rolled_back');
  expect(run.reason).toContain('second thoughts');
  const columns = await system.target.query(
    "SELECT 1 FROM information_schema.columns WHERE table_name = 'people' AND column_name = 'full_name'",
  );
  expect(columns.rows).toEqual([]);
  const again = await api.call('operator', 'POST', `/api/runs/${id}/rollback`);
  expect(again).toMatchObject({ status: 409, body: { state: 'rolled_back', role: 'operator' } });
});

test('a command repeated with its Idempotency-Key is given once', async () => {
  const id = await start(await register({ ...rollout, stages: [{ percentage: 10, hold: '4w' }] }), {
    timeScale: 1,
  });
  await reach(id, 'running');
  const give = (command: string, key: string) =>
    api.call('operator', 'POST', `/api/runs/${id}/${command}`, { headers: { 'idempotency-key': key } });
  expect(await give('pause', 'k1')).toMatchObject({ status: 200, body: { status: 'paused' } });
  // The same key for another command is another command.
  expect(await give('resume', 'k1')).toMatchObject({ status: 200, body: { status: 'running' } });
  expect(await give('pause', 'k1')).toMatchObject({ status: 200, body: { status: 'running' } });
  expect(await give('rollback', 'k2')).toMatchObject({ status: 200 });
  await reach(id, 'rolled_back');
});

test('a backfill under way is throttled by a number of connections, which is kept in the audit trail', async () => {
  const set = { full_name: `CASE WHEN pg_sleep(0.02) IS NULL THEN NULL ELSE first END` };
  const slow = { ...backfill, transform: { kind: 'sql', set }, batchSize: 10, maxBatchSize: 10 };
  const id = await start(await register(schema, slow));
  await until(async () => ((await show(id)).commands as string[]).includes('throttle'), {
    what: 'a backfill that can be throttled',
  });
  const give = (payload?: Record<string, unknown>) =>
    api.call('operator', 'POST', `/api/runs/${id}/throttle`, payload ? { payload } : {});
  expect(await give()).toMatchObject({ status: 400 });
  expect(await give({ connections: 0 })).toMatchObject({ status: 400 });
  expect(await give({ connections: 2, reason: 'quiet night' })).toMatchObject({
    status: 200,
    body: { status: 'running', phase: 'fill' },
  });
  expect(await listAudit(system.db, { subject: id, limit: 1 })).toMatchObject([
    { action: 'throttle', accepted: true, details: { connections: 2, reason: 'quiet night' } },
  ]);
  await api.call('operator', 'POST', `/api/runs/${id}/rollback`);
  await reach(id, 'rolled_back');
  expect(await give({ connections: 2 })).toMatchObject({ status: 409 });
});

test('a dry run of a plan that cannot run says everything that stands in its way', async () => {
  await system.target.query('CREATE TABLE IF NOT EXISTS keyless (a int)');
  const plan = await register(
    { ...backfill, table: 'keyless' },
    { ...backfill, name: 'other', table: 'missing' },
  );
  const { status, body } = await api.call('operator', 'POST', `/api/plans/${plan}/dry-run`);
  expect(status).toBe(422);
  expect(body.type).toBe('urn:cutover:problem:dry-run-failed');
  const problems = body.problems as { path: string; problem: string; fix: string }[];
  expect(new Set(problems.map(({ path }) => path.slice(0, 9)))).toEqual(new Set(['phases[0]', 'phases[1]']));
});

test('a dry run on a database that cannot be reached says so', async () => {
  const plan = await register(schema, backfill);
  const app = new URL(system.targetUrl).pathname.slice(1);
  const connections = (allowed: boolean) =>
    runStatement(
      inject('postgresUrl'),
      `ALTER DATABASE ${pg.escapeIdentifier(app)} ALLOW_CONNECTIONS ${allowed};
       SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = ${pg.escapeLiteral(app)} AND application_name LIKE 'cutover%'`,
    );
  await connections(false);
  try {
    const { status, body } = await api.call('operator', 'POST', `/api/plans/${plan}/dry-run`);
    expect(status).toBe(422);
    expect(body.detail).toContain('not currently accepting connections');
  } finally {
    await connections(true);
  }
});

test('a dry run that takes longer is answered with where its report will be', async () => {
  // No worker serves this target, so that the dry run stays under way.
  const plan = await registerDocument({ target: 'unserved', phases: [schema] });
  const { status, body, headers } = await api.call('operator', 'POST', `/api/plans/${plan}/dry-run`, {
    payload: { wait: 0.5 },
  });
  expect(status).toBe(202);
  expect(headers.location).toBe(body.location);
  const location = String(body.location);
  expect(await api.call('viewer', 'GET', location)).toMatchObject({
    status: 200,
    body: { state: 'running', report: null, plan },
  });
  await system.client.workflow.getHandle(String(body.id)).terminate('enough');
  expect(await api.call('viewer', 'GET', location)).toMatchObject({
    status: 422,
    body: { detail: expect.stringContaining('enough') },
  });
});

const SAFE_DIVISION = { kind: 'sql', set: { full_name: '(100 / weight)::text' } };

type Answer = {
  processed: number;
  migrated: number;
  nextOffset: number;
  hasMore: boolean;
  ambiguous: unknown[];
  errors: unknown[];
};

/** Calls the function as its older callers do: again with nextOffset while there is more. */
async function callUntilDone(endpoint: string, dryRun: boolean): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let offset = 0; ; ) {
    const payload = { dryRun, batchSize: 100, offset };
    const { status, body } = await api.call('admin', 'POST', `/functions/v1/${endpoint}`, { payload });
    expect([status, body.detail]).toEqual([200, undefined]);
    const answer = body as Answer;
    answers.push(answer);
    expect(answer.nextOffset).toBe(offset + answer.processed);
    offset = answer.nextOffset;
    if (!answer.hasMore) return answers;
    expect(answers.length).toBeLessThan(200);
  }
}

const sum = (answers: Answer[], part: 'processed' | 'migrated') =>
  answers.reduce((total, answer) => total + answer[part], 0);

test("a migration function's calls add up to the whole table, dry and real, and end", async () => {
  const endpoint = uniqueName('migrate');
  await system.target.query('UPDATE people SET weight = 0 WHERE id IN (7, 77, 777)');
  await registerDocument({
    target: 'app',
    endpoint,
    phases: [schema, { ...backfill, transform: SAFE_DIVISION }],
  });

  const dry = await callUntilDone(endpoint, true);
  expect(dry.map(({ processed }) => processed)).toEqual(Array(10).fill(100));
  expect(sum(dry, 'migrated')).toBe(997);
  expect(dry.flatMap(({ errors }) => errors)).toMatchObject([
    { key: ['7'] },
    { key: ['77'] },
    { key: ['777'] },
  ]);
  expect(dry[0]).toMatchObject({ success: true, dryRun: true, samples: expect.any(Array) });

  const real = await callUntilDone(endpoint, false);
  expect([sum(real, 'processed'), sum(real, 'migrated')]).toEqual([1000, 997]);
  const last = real.at(-1);
  expect(last).toMatchObject({ success: true, dryRun: false, ambiguous: [], runId: expect.any(String) });
  expect(last?.errors).toMatchObject([{ key: ['7'], sqlstate: '22012' }, { key: ['77'] }, { key: ['777'] }]);
  const runs = await api.call('viewer', 'GET', '/api/runs?limit=1');
  expect(runs.body.runs).toMatchObject([{ id: (last as { runId?: string }).runId, batchSize: 100 }]);
  const { rows } = await system.target.query('SELECT count(full_name)::int AS n FROM people');
  expect(rows).toEqual([{ n: 997 }]);
  await system.target.query('UPDATE people SET weight = 1');
});

test('a migration function says so when its run waits for a person, or has ended', async () => {
  const endpoint = uniqueName('migrate');
  const early = { ...approval, name: 'first' };
  await registerDocument({ target: 'app', endpoint, phases: [early, schema, backfill] });
  const call = (offset: number) =>
    api.call('admin', 'POST', `/functions/v1/${endpoint}`, { payload: { dryRun: false, offset } });
  const waiting = await call(0);
  expect(waiting).toMatchObject({
    status: 409,
    body: { type: 'urn:cutover:problem:run-waiting', state: 'awaiting_approval' },
  });
  await api.call('operator', 'POST', `/api/runs/${waiting.body.runId}/rollback`);
  await reach(String(waiting.body.runId), 'rolled_back');
  expect(await call(100)).toMatchObject({
    status: 409,
    body: { type: 'urn:cutover:problem:run-ended', runId: waiting.body.runId },
  });
});

test('an endpoint that no plan serves is a 404, and input that it does not take a 400', async () => {
  expect((await api.call('admin', 'POST', '/functions/v1/no-such')).status).toBe(404);
  const { status, body } = await api.call('admin', 'POST', '/functions/v1/no-such', {
    payload: { batchSize: -1 },
  });
  expect(status).toBe(400);
  expect(body.problems).toMatchObject([{ path: 'body.batchSize' }]);
});

test('rows are restored by key, and what cannot be restored is refused with the reason', async () => {
  const plan = await register(schema, backfill, { ...rollout, stages: [{ percentage: 10, hold: '1d' }] });
  const id = await start(plan, { timeScale: 1 });
  await until(async () => (await show(id)).phase === 'roll-out', { what: 'the rollout' });
  const undo = (payload: Record<string, unknown>, role: 'operator' | 'viewer' = 'operator') =>
    api.call(role, 'POST', `/api/runs/${id}/undo-rows`, { payload });

  expect((await show(id)).commands).toEqual(['pause', 'advance', 'rollback']);
  expect((await undo({ keys: [1] }, 'viewer')).status).toBe(403);
  expect(await undo({ keys: [1], phase: 'nowhere' })).toMatchObject({
    status: 400,
    body: { detail: 'The run has no backfill phase "nowhere"; its backfills are: fill.' },
  });
  expect(await undo({ keys: [['1', '2']] })).toMatchObject({ status: 422, body: { runId: id } });

  expect(await undo({ keys: [3, '4', 99_999], reason: 'wrong names' })).toMatchObject({
    status: 200,
    body: { restored: [['3'], ['4']], kept: [], unknown: [['99999']] },
  });
  const { rows } = await system.target.query(
    'SELECT id::int FROM people WHERE full_name IS NULL ORDER BY id',
  );
  expect(rows).toEqual([{ id: 3 }, { id: 4 }]);
  expect(await listAudit(system.db, { subject: id, limit: 1 })).toMatchObject([
    { action: 'undo-rows', actor: 'operator-ann', details: { reason: 'wrong names' } },
  ]);
  await api.call('operator', 'POST', `/api/runs/${id}/rollback`);
  await reach(id, 'rolled_back');
});
