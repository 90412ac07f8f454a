import { afterAll, beforeAll, expect, test } from 'vitest';
import { listAudit } from '../../src/db/audit.ts';
import { ROLES, type Role, roleAtLeast } from '../../src/domain/role.ts';
import { startTestApi } from './test-api.ts';

let api: Awaited<ReturnType<typeof startTestApi>>;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api?.close());

test('without a token one is told to send one, and how', async () => {
  const { status, body, headers } = await api.call(undefined, 'GET', '/api/runs');
  expect(status).toBe(401);
  expect(headers['www-authenticate']).toBe('Bearer realm="cutover"');
  expect(headers['content-type']).toMatch('application/problem+json');
  expect(body).toMatchObject({
    type: 'urn:cutover:problem:unauthorized',
    status: 401,
    instance: '/api/runs',
    detail: expect.stringContaining('Authorization: Bearer'),
  });
});

test.each([
  'Bearer nobody-has-this-token',
  'Bearer ',
  'Basic dG9rZW4=',
  'token-of-the-admin',
  'Bearer token-of-the-admi',
  'Bearer token-of-the-admin token-of-the-admin',
])('the header "%s" opens nothing', async (authorization) => {
  const { status } = await api.call(undefined, 'GET', '/api/runs', { headers: { authorization } });
  expect(status).toBe(401);
});

test('a token is neither echoed nor logged', async () => {
  const authorization = 'Bearer my-very-secret-token';
  const { text } = await api.call(undefined, 'GET', '/api/runs', { headers: { authorization } });
  expect(text).not.toContain('my-very-secret-token');
  await api.call('admin', 'GET', '/api/runs');
  expect(api.log.join('')).not.toMatch(/my-very-secret-token|token-of-the-admin/);
});

const ROUTES: [method: 'GET' | 'POST', url: string, needed: Role][] = [
  ['GET', '/api/plans', 'viewer'],
  ['GET', '/api/plans/schema', 'viewer'],
  ['GET', '/api/plans/nothing', 'viewer'],
  ['POST', '/api/plans', 'admin'],
  ['POST', '/api/plans/nothing/dry-run', 'operator'],
  ['GET', '/api/dry-runs/nothing', 'viewer'],
  ['GET', '/api/runs', 'viewer'],
  ['POST', '/api/runs', 'operator'],
  ['GET', '/api/runs/nothing', 'viewer'],
  ['GET', '/api/runs/nothing/events', 'viewer'],
  ['GET', '/api/runs/nothing/report', 'viewer'],
  ['GET', '/api/runs/nothing/exceptions', 'viewer'],
  ['GET', '/api/runs/nothing/gates', 'viewer'],
  ['POST', '/api/runs/nothing/pause', 'operator'],
  ['POST', '/api/runs/nothing/resume', 'operator'],
  ['POST', '/api/runs/nothing/throttle', 'operator'],
  ['POST', '/api/runs/nothing/advance', 'operator'],
  ['POST', '/api/runs/nothing/rollback', 'operator'],
  ['POST', '/api/runs/nothing/approve', 'approver'],
  ['POST', '/api/runs/nothing/reject', 'approver'],
  ['GET', '/api/migration-log', 'viewer'],
  ['GET', '/api/audit', 'admin'],
  ['POST', '/functions/v1/nothing', 'admin'],
];

test.each(ROUTES)(
  '%s %s lets in %s and above, and tells the others which role it takes',
  async (method, url, needed) => {
    for (const role of ROLES) {
      const { status, body } = await api.call(role, method, url);
      if (roleAtLeast(role, needed)) {
        expect([401, 403]).not.toContain(status);
      } else {
        expect(status).toBe(403);
        expect(body).toMatchObject({ role, required: needed });
      }
    }
  },
);

test('every route under /api and /functions asks for a token, save its own documentation', async () => {
  const { body } = await api.call(undefined, 'GET', '/api/openapi.json');
  const paths = body.paths as Record<string, Record<string, unknown>>;
  for (const [path, methods] of Object.entries(paths)) {
    for (const method of Object.keys(methods)) {
      if (!/^\/(api|functions)\//.test(path)) continue;
      const url = path.replaceAll(/\{\w+\}/g, 'x');
      const { status } = await api.call(undefined, method.toUpperCase() as 'GET' | 'POST', url);
      expect([path, method, status]).toEqual([path, method, 401]);
    }
  }
  expect(Object.keys(paths).length).toBeGreaterThan(15);
});

test.each(['/healthz', '/readyz', '/metrics', '/api/openapi.json', '/api/docs/'])(
  '%s is open',
  async (url) => {
    expect((await api.call(undefined, 'GET', url)).status).toBe(200);
  },
);

test('a command that a role may not give is audited as refused', async () => {
  await api.call('viewer', 'POST', '/api/runs/some-run/rollback');
  expect(await listAudit(api.db, { subject: 'some-run', limit: 1 })).toMatchObject([
    { actor: 'viewer-ann', role: 'viewer', accepted: false, action: 'POST /api/runs/:id/rollback' },
  ]);
});
