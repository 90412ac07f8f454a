import { afterAll, beforeAll, expect, test } from 'vitest';
import { listAudit } from '../../src/db/audit.ts';
import { recordMeasurement } from '../../src/db/gate-measurements.ts';
import { changePhase, reportProgress } from '../../src/db/run-phases.ts';
import { changeStatus } from '../../src/db/runs.ts';
import type { Progress } from '../../src/db/schema.ts';
import { uniqueName } from '../support/unique-name.ts';
import { apiOver, planDocument, startTestApi, unreachableTemporal } from './test-api.ts';

// No worker runs here: runs stay as the API and the tests leave them.
let api: Awaited<ReturnType<typeof startTestApi>>;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api?.close());

async function registered(changes: Record<string, unknown> = {}): Promise<string> {
  const plan = planDocument(changes);
  await api.call('admin', 'POST', '/api/plans', { payload: plan });
  return String(plan.name);
}

function start(plan: string, more: Record<string, unknown> = {}, key?: string) {
  const headers = key ? { 'idempotency-key': key } : {};
  return api.call('operator', 'POST', '/api/runs', { payload: { plan, ...more }, headers });
}

async function started(
  changes: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): Promise<string> {
  const { status, body } = await start(await registered(changes), more);
  expect(status).toBe(201);
  return String(body.id);
}

const move = (
  runId: string,
  status: Parameters<typeof changeStatus>[1]['status'],
  reason: string | null = null,
) => changeStatus(api.db, { runId, status, reason, phase: 'fill', key: uniqueName('key') });

test('a started run has its row, its workflow under the same id, and what one needs to find both', async () => {
  const plan = await registered({ description: 'Fills **items**.' });
  const { status, body, headers } = await start(plan, { timeScale: 60, batchSize: 7 });
  expect(status).toBe(201);
  const id = String(body.id);
  expect(id).toMatch(new RegExp(`^${plan}-[0-9a-f]{8}$`));
  expect(headers.location).toBe(`/api/runs/${id}`);
  expect(body).toMatchObject({
    plan,
    version: 1,
    target: 'shop',
    status: 'pending',
    timeScale: 60,
    batchSize: 7,
    startedBy: 'operator-ann',
    finishedAt: null,
    waitingFor: 'a worker to begin the run',
    commands: [],
    phases: [
      { name: 'widen', kind: 'schema', state: 'pending', progress: null },
      { name: 'fill', kind: 'backfill', state: 'pending' },
    ],
    gates: [],
    links: {
      events: `/api/runs/${id}/events`,
      webUi: `http://127.0.0.1:8233/namespaces/${api.temporal.options.namespace}/workflows/${id}`,
    },
  });
  const handle = api.temporal.workflow.getHandle(id);
  const description = await handle.describe();
  expect(description).toMatchObject({ type: 'migration', taskQueue: 'cutover', status: { name: 'RUNNING' } });
  expect(await description.staticSummary()).toBe(`${plan} v1 on shop`);
  expect(await description.staticDetails()).toContain('Fills **items**.');
  expect(description.typedSearchAttributes.getAll().map(({ value }) => value)).toEqual(
    expect.arrayContaining([plan, 'shop', id, 'pending']),
  );
  const { events } = await handle.fetchHistory();
  const payload = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
  expect(JSON.parse(Buffer.from(payload ?? []).toString())).toMatchObject({
    runId: id,
    startedBy: { name: 'operator-ann', role: 'operator' },
    timeScale: 60,
    plan: { phases: [{ name: 'widen' }, { name: 'fill', batchSize: 7 }] },
  });
});

test('a second start of the plan is a 409 that names the run under way', async () => {
  const plan = await registered();
  const first = await start(plan);
  const second = await start(plan);
  expect(second).toMatchObject({
    status: 409,
    body: { type: 'urn:cutover:problem:active-run-exists', runId: first.body.id },
  });
  expect(second.body.detail).toContain(String(first.body.id));
});

test('of many starts at once one wins', async () => {
  const plan = await registered();
  const statuses = (await Promise.all(Array.from({ length: 6 }, () => start(plan)))).map(
    ({ status }) => status,
  );
  expect(statuses.sort()).toEqual([201, 409, 409, 409, 409, 409]);
});

test('the same Idempotency-Key returns the same run, at once and later', async () => {
  const plan = await registered();
  const key = uniqueName('key');
  const answers = await Promise.all(Array.from({ length: 5 }, () => start(plan, {}, key)));
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 201]);
  const id = String(answers[0]?.body.id);
  await move(id, 'completed');
  expect(await start(plan, {}, key)).toMatchObject({ status: 200, body: { id, status: 'completed' } });
});

test('an Idempotency-Key that started another plan is refused', async () => {
  const key = uniqueName('key');
  const first = await start(await registered(), {}, key);
  const second = await start(await registered(), {}, key);
  expect(second).toMatchObject({
    status: 422,
    body: { type: 'urn:cutover:problem:idempotency-key-reused', runId: first.body.id },
  });
});

test('an Idempotency-Key that started the plan in another way is refused', async () => {
  const plan = await registered();
  const key = uniqueName('key');
  expect(await start(plan, { timeScale: 1.1, batchSize: 7 }, key)).toMatchObject({ status: 201 });
  expect(await start(plan, { timeScale: 1.1, batchSize: 7 }, key)).toMatchObject({ status: 200 });
  for (const other of [{ timeScale: 1.1 }, { batchSize: 7 }, { timeScale: 2, batchSize: 7 }]) {
    expect(await start(plan, other, key)).toMatchObject({ status: 422 });
  }
});

test('an unknown plan or version cannot be started', async () => {
  expect(await start('no-such-plan')).toMatchObject({ status: 404 });
  expect(await start(await registered(), { version: 4 })).toMatchObject({ status: 404 });
});

test('a plan whose target is no longer configured is refused before anything is written', async () => {
  const plan = await registered();
  const other = apiOver({ db: api.db, temporal: api.temporal, targets: ['elsewhere'] }, api.databaseUrl);
  try {
    const answer = await other.call('operator', 'POST', '/api/runs', { payload: { plan } });
    expect(answer).toMatchObject({ status: 422, body: { problems: [{ path: 'target' }] } });
    expect((await api.call('viewer', 'GET', `/api/runs?plan=${plan}`)).body.runs).toEqual([]);
  } finally {
    await other.close();
  }
});

test('starts are audited, accepted or not', async () => {
  const plan = await registered();
  const { body } = await start(plan);
  await start(plan);
  expect(await listAudit(api.db, { subject: String(body.id), limit: 5 })).toMatchObject([
    { action: 'start', accepted: true, actor: 'operator-ann' },
  ]);
  expect(await listAudit(api.db, { subject: `plan:${plan}`, limit: 1 })).toMatchObject([
    { action: 'start', accepted: false, details: { why: expect.stringContaining('is under way') } },
  ]);
});

test('runs are listed newest first, by plan and status, in pages', async () => {
  const plan = await registered();
  const ids: unknown[] = [];
  for (let n = 0; n < 3; n += 1) {
    const { body } = await start(plan);
    ids.unshift(body.id);
    await move(String(body.id), n === 1 ? 'failed' : 'completed');
  }
  const list = async (query: string) => {
    const { body } = await api.call('viewer', 'GET', `/api/runs?plan=${plan}&${query}`);
    return { ids: (body.runs as { id: string }[]).map(({ id }) => id), next: body.next };
  };
  expect(await list('')).toEqual({ ids, next: null });
  expect(await list('status=failed')).toEqual({ ids: [ids[1]], next: null });
  const first = await list('limit=2');
  expect(first).toEqual({ ids: ids.slice(0, 2), next: ids[1] });
  expect(await list(`limit=2&before=${first.next}`)).toEqual({ ids: ids.slice(2), next: null });
});

test('a backfill under way shows how far it is, when it will be done, and what holds it back', async () => {
  const id = await started();
  await move(id, 'running');
  await changePhase(api.db, { runId: id, phase: 'fill', state: 'running', summary: null, key: 'p' });
  const detail = async () => (await api.call('viewer', 'GET', `/api/runs/${id}`)).body;
  const shown = async () => ((await detail()).phases as { progress: unknown }[])[1]?.progress;
  const show = async (processed: number, estimatedRows: number | null, more: Partial<Progress> = {}) => {
    const counts = { processed, migrated: processed, skipped: 0, ambiguous: 0, failed: 0 };
    await reportProgress(api.db, id, 'fill', { counts, estimatedRows, rowsPerSecond: 50, ...more });
    return shown();
  };
  const [low, high] = ['2026-07-01T10:00:00.000Z', '2026-07-01T11:00:00.000Z'];
  const eta = { low, high };
  const limiter = { signal: 'p99', effect: 'slowed', why: '1 of 4 connections: p99 250 ms' } as const;
  const signal = {
    signal: 'p99',
    mode: 'steer',
    zone: 'over',
    value: 250,
    limit: 200,
    reason: 'p99 250 ms',
  } as const;
  expect(await show(250, 1_000)).toMatchObject({ share: 0.25, eta: null, rowsPerSecond: 50, limiter: null });
  expect(await show(250, 1_000, { eta, limiter, signals: [signal] })).toMatchObject({
    eta: { low, high },
    limiter,
    signals: [signal],
  });
  expect(await show(1_200, 1_000)).toMatchObject({ share: null, eta: null });
  expect(await show(1_200, null)).toMatchObject({ share: null, signals: [] });
  expect((await detail()).waitingFor).toBeNull();
  const closed = { until: low, why: 'blackout: Christmas' };
  expect(await show(250, 1_000, { closed })).toMatchObject({ closed });
  expect((await detail()).waitingFor).toBe(`its hours (blackout: Christmas); goes on at ${low}`);
  // What was known of the load holds no more once nobody measures it.
  await show(250, 1_000, { eta, limiter, signals: [signal] });
  await move(id, 'paused');
  expect(await shown()).toMatchObject({ share: 0.25, eta: null, limiter: null, signals: [] });
});

test('a run says what it waits for and which commands it takes', async () => {
  const id = await started({
    phases: [
      { kind: 'schema', name: 'widen', up: ['SELECT 1'], down: ['SELECT 2'], pointOfNoReturn: true },
      { kind: 'approval', name: 'fill', count: 2, people: ['zoe'] },
    ],
  });
  const shown = async () => {
    const { body } = await api.call('viewer', 'GET', `/api/runs/${id}`);
    return [body.waitingFor, body.commands];
  };
  await move(id, 'awaiting_approval');
  expect(await shown()).toEqual([
    '2 approvals of "fill" by role approver, role admin, zoe, other than operator-ann, who started the run',
    ['approve', 'reject', 'rollback'],
  ]);
  // Once the point of no return has begun there is no way back.
  await changePhase(api.db, { runId: id, phase: 'widen', state: 'running', summary: null, key: 'p' });
  expect((await shown())[1]).toEqual(['approve']);
  await move(id, 'held', 'it broke');
  expect(await shown()).toEqual(['a person to resume (try again) or roll back: it broke', ['resume']]);
  await move(id, 'completed');
  expect(await shown()).toEqual([null, []]);
});

test('the latest measurement of each gate is shown with the run, all of them at its gates', async () => {
  const id = await started();
  for (const [sequence, value] of [
    [1, 0.4],
    [2, 0.6],
  ] as const) {
    const measurement = { runId: id, phase: 'rollout', percentage: 10, gate: 'errors', sequence, value };
    await recordMeasurement(api.db, { ...measurement, verdict: 'pass', reason: `${value}%, wanted < 1%` });
  }
  const { body } = await api.call('viewer', 'GET', `/api/runs/${id}`);
  expect(body.gates).toMatchObject([{ gate: 'errors', value: 0.6, verdict: 'pass', percentage: 10 }]);
  const all = await api.call('viewer', 'GET', `/api/runs/${id}/gates`);
  expect((all.body.measurements as { value: number }[]).map(({ value }) => value)).toEqual([0.4, 0.6]);
});

test('a command to a final run is a 409 with its state and the role, and audited', async () => {
  const id = await started();
  await move(id, 'completed');
  const { status, body } = await api.call('operator', 'POST', `/api/runs/${id}/pause`, {
    payload: { reason: 'x' },
  });
  expect(status).toBe(409);
  expect(body).toMatchObject({
    type: 'urn:cutover:problem:command-refused',
    state: 'completed',
    role: 'operator',
    detail: 'the run is completed, so it cannot be paused; it takes no more commands',
  });
  expect(await listAudit(api.db, { subject: id, limit: 1 })).toMatchObject([
    { action: 'pause', accepted: false, details: { reason: 'x', why: body.detail } },
  ]);
});

test('a command to an unknown run is a 404, and audited', async () => {
  expect(await api.call('operator', 'POST', '/api/runs/no-such-run/pause')).toMatchObject({ status: 404 });
  expect(await listAudit(api.db, { subject: 'no-such-run', limit: 1 })).toMatchObject([{ accepted: false }]);
});

test('a command that no worker answers is not confirmed after ten seconds, and audited so', async () => {
  const id = await started();
  const before = Date.now();
  const { status, body } = await api.call('operator', 'POST', `/api/runs/${id}/pause`);
  expect(Date.now() - before).toBeLessThan(20_000);
  expect(status).toBe(503);
  expect(body).toMatchObject({
    type: 'urn:cutover:problem:not-confirmed',
    detail: expect.stringContaining('no worker answered within 10 s'),
  });
  expect(await listAudit(api.db, { subject: id, limit: 1 })).toMatchObject([
    { action: 'pause', accepted: false },
  ]);
});

test('a command is not given when Temporal is away, and that is audited', async () => {
  const id = await started();
  await move(id, 'running');
  const { temporal, close } = unreachableTemporal();
  const cut = apiOver({ db: api.db, temporal }, api.databaseUrl);
  try {
    const { status, body } = await cut.call('operator', 'POST', `/api/runs/${id}/pause`);
    expect(status).toBe(503);
    expect(body).toMatchObject({
      type: 'urn:cutover:problem:temporal-unreachable',
      detail: expect.stringContaining('so the command was not given'),
    });
    expect(await listAudit(api.db, { subject: id, limit: 1 })).toMatchObject([
      { action: 'pause', accepted: false },
    ]);
  } finally {
    await cut.close();
    await close();
  }
});

test('a command to a run whose workflow was ended from outside is a 409', async () => {
  const id = await started();
  await move(id, 'running');
  await api.temporal.workflow.getHandle(id).terminate('by hand');
  const { status, body } = await api.call('operator', 'POST', `/api/runs/${id}/pause`);
  expect([status, body.detail]).toEqual([409, expect.stringContaining('workflow has ended')]);
});
