import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { listAudit } from '../../src/db/audit.ts';
import { planDocument, startTestApi } from './test-api.ts';

let api: Awaited<ReturnType<typeof startTestApi>>;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api?.close());

const register = (payload: Record<string, unknown>) => api.call('admin', 'POST', '/api/plans', { payload });

test('a plan is registered once per version, and the registration is audited', async () => {
  const plan = planDocument();
  const created = await register(plan);
  expect(created.status).toBe(201);
  expect(created.body).toEqual({
    name: plan.name,
    version: 1,
    hash: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(created.headers.location).toBe(`/api/plans/${plan.name}?version=1`);
  const again = await register(plan);
  expect([again.status, again.body]).toEqual([200, created.body]);
  expect(await register({ ...plan, description: 'changed' })).toMatchObject({
    status: 201,
    body: { version: 2 },
  });
  const trail = await listAudit(api.db, { subject: `plan:${plan.name}`, limit: 10 });
  expect(trail.map(({ actor, details }) => [actor, details.version])).toEqual([
    ['admin-ann', 2],
    ['admin-ann', 1],
  ]);
});

test('YAML is the same plan as JSON', async () => {
  const plan = planDocument();
  await register(plan);
  const answer = await api.call('admin', 'POST', '/api/plans', {
    headers: { 'content-type': 'application/yaml' },
    payload: stringify(plan),
  });
  expect(answer).toMatchObject({ status: 200, body: { version: 1 } });
});

test('a refused plan gets every problem at once, the unknown target among them', async () => {
  const { status, body, headers } = await register(
    planDocument({
      target: 'nowhere',
      colour: 'red',
      phases: [{ kind: 'schema', name: 'Not a slug', up: [] }],
    }),
  );
  expect(status).toBe(422);
  expect(headers['content-type']).toMatch('application/problem+json');
  const problems = body.problems as { path: string; problem: string; fix: string }[];
  expect(problems.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['target', 'colour', 'phases[0].name', 'phases[0].up']),
  );
  expect(problems.find(({ path }) => path === 'target')?.fix).toContain('shop');
  for (const { problem, fix } of problems) expect([problem, fix]).not.toContain('');
});

test('a plan that is only wrong in its target is refused as well, and nothing is stored', async () => {
  const plan = planDocument({ target: 'nowhere' });
  expect((await register(plan)).body).toMatchObject({ status: 422, problems: [{ path: 'target' }] });
  expect((await api.call('viewer', 'GET', `/api/plans/${plan.name}`)).status).toBe(404);
});

test('DDL that can hold an application up is refused until the plan says why it may', async () => {
  const rule = 'require-concurrent-index-creation';
  const widen = { kind: 'schema', name: 'widen', up: ['CREATE INDEX a ON t (a)'], pointOfNoReturn: true };
  const refused = await register(planDocument({ phases: [widen] }));
  expect(refused).toMatchObject({
    status: 422,
    body: {
      problems: [{ path: 'phases[0].up[0]', fix: expect.stringContaining(`waivers: [{ rule: ${rule}, `) }],
    },
  });
  const waivers = [{ rule, reason: 'the table is empty' }];
  expect((await register(planDocument({ phases: [{ ...widen, waivers }] }))).status).toBe(201);
  const idle = await register(planDocument({ phases: [{ ...widen, up: ['SELECT 1'], waivers }] }));
  expect(idle).toMatchObject({ status: 422, body: { problems: [{ path: 'phases[0].waivers[0]' }] } });
});

test('YAML that cannot be read is refused with line and column', async () => {
  const { status, body } = await api.call('admin', 'POST', '/api/plans', {
    headers: { 'content-type': 'application/yaml' },
    payload: 'name: a\n  bad: [1,\n',
  });
  expect(status).toBe(422);
  expect((body.problems as { path: string }[])[0]?.path).toMatch(/^body:\d+:\d+$/);
});

test('YAML whose aliases multiply is refused instead of being written out', async () => {
  const rows = Array.from(
    { length: 12 },
    (_, n) => `a${n + 1}: &a${n + 1} [${Array(9).fill(`*a${n}`).join(', ')}]`,
  );
  const { status } = await api.call('admin', 'POST', '/api/plans', {
    headers: { 'content-type': 'application/yaml' },
    payload: ['a0: &a0 [lol]', ...rows].join('\n'),
  });
  expect(status).toBe(422);
});

test.each([null, [], 'text', 7, {}])('the document %j is refused, not misread', async (payload) => {
  const { status, body } = await api.call('admin', 'POST', '/api/plans', {
    headers: { 'content-type': 'application/json' },
    payload: JSON.stringify(payload),
  });
  expect(status).toBe(422);
  expect((body.problems as unknown[]).length).toBeGreaterThan(0);
});

test('plans are listed, and shown in each of their versions', async () => {
  const plan = planDocument();
  await register(plan);
  await register({ ...plan, description: 'second' });
  const { body } = await api.call('viewer', 'GET', '/api/plans');
  const listed = (body.plans as { name: string }[]).filter(({ name }) => name === plan.name);
  expect(listed).toMatchObject([
    {
      version: 2,
      description: 'second',
      target: 'shop',
      endpoint: null,
      registeredBy: 'admin-ann',
      phases: [
        { name: 'widen', kind: 'schema' },
        { name: 'fill', kind: 'backfill' },
      ],
    },
  ]);
  const first = await api.call('viewer', 'GET', `/api/plans/${plan.name}?version=1`);
  expect(first.body).toMatchObject({
    version: 1,
    document: { description: '', phases: [{ lockTimeout: '2s' }, {}] },
  });
  const missing = await api.call('viewer', 'GET', `/api/plans/${plan.name}?version=9`);
  expect(missing.body).toMatchObject({ status: 404, detail: expect.stringContaining('has no version 9') });
});

test("the plan's JSON Schema is published", async () => {
  const { body } = await api.call('viewer', 'GET', '/api/plans/schema');
  expect(body).toMatchObject({
    title: 'Cutover plan',
    type: 'object',
    properties: { phases: { type: 'array' } },
  });
});

test('a sample for a dry run comes from the whole table', async () => {
  const dryRun = (payload: object) => api.call('operator', 'POST', '/api/plans/nothing/dry-run', { payload });
  const mixed = await dryRun({ sample: { rows: 100 }, limit: 10 });
  expect(mixed).toMatchObject({
    status: 400,
    body: { problems: [{ path: 'body.sample' }] },
  });
  expect((await dryRun({ sample: { percent: 0 } })).status).toBe(400);
  expect((await dryRun({ sample: { percent: 0.5 } })).status).toBe(404);
});
