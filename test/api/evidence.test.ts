import { afterAll, beforeAll, expect, test } from 'vitest';
import { audit } from '../../src/db/audit.ts';
import { storeExceptions } from '../../src/db/exceptions.ts';
import { openLogEntry, updateLogEntry } from '../../src/db/migration-log.ts';
import { sortableKey } from '../../src/domain/key-order.ts';
import { planDocument, startTestApi } from './test-api.ts';

let api: Awaited<ReturnType<typeof startTestApi>>;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api?.close());

async function runWithExceptions(count: number): Promise<string> {
  const plan = planDocument();
  await api.call('admin', 'POST', '/api/plans', { payload: plan });
  const { body } = await api.call('operator', 'POST', '/api/runs', { payload: { plan: plan.name } });
  const runId = String(body.id);
  await storeExceptions(
    api.db,
    Array.from({ length: count }, (_, n) => ({
      runId,
      exceptionId: n + 1,
      phase: 'fill',
      key: JSON.stringify([String(n).padStart(6, '0')]),
      sortKey: sortableKey([String(n)]),
      kind: n % 3 === 0 ? ('failed' as const) : ('ambiguous' as const),
      reason: `reason ${n}`,
      suggestion: n % 3 === 1 ? { integration: n } : null,
      sqlstate: n % 3 === 0 ? '22P02' : null,
    })),
  );
  return runId;
}

test('the report holds the whole evidence, exceptions of every page included', async () => {
  const runId = await runWithExceptions(2_345);
  const key = { runId, phase: 'fill', action: 'backfill' as const };
  await openLogEntry(api.db, key, { planName: 'p', target: 'shop', tableName: 'items', performedBy: 'ana' });
  await audit(api.db, { name: 'ana', role: 'operator' }, { action: 'pause', subject: runId, accepted: true });
  const { status, body, headers } = await api.call('viewer', 'GET', `/api/runs/${runId}/report`);
  expect(status).toBe(200);
  expect(headers['content-type']).toMatch('application/json');
  expect(headers['content-disposition']).toBe(`attachment; filename="${runId}-report.json"`);
  expect(body).toMatchObject({
    run: { id: runId, startedBy: 'operator-ann', planHash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    plan: { version: 1, document: { target: 'shop' } },
    phases: [{ name: 'widen' }, { name: 'fill' }],
    log: [{ table: 'items', action: 'backfill' }],
    gates: [],
    audit: [{ action: 'pause' }, { action: 'start' }],
  });
  const exceptions = body.exceptions as { key: string[] }[];
  expect(exceptions).toHaveLength(2_345);
  expect(exceptions[1]).toMatchObject({ key: ['000001'], suggestion: { integration: 1 }, kind: 'ambiguous' });
});

test('the report of a run without exceptions is whole JSON as well', async () => {
  const { body } = await api.call('viewer', 'GET', `/api/runs/${await runWithExceptions(0)}/report`);
  expect(body.exceptions).toEqual([]);
});

test('as CSV the report lists the exceptions, a line each', async () => {
  const runId = await runWithExceptions(1_001);
  const { text, headers } = await api.call('viewer', 'GET', `/api/runs/${runId}/report?format=csv`);
  expect(headers['content-type']).toMatch('text/csv');
  expect(headers['content-disposition']).toContain(`${runId}-exceptions.csv`);
  const lines = text.trimEnd().split('\n');
  expect(lines).toHaveLength(1_002);
  expect(lines.slice(0, 3)).toEqual([
    'key,kind,reason,suggestion,sqlstate,phase,id,status,note,value,decidedBy,decidedAt',
    '000000,failed,reason 0,,22P02,fill,1,open,,,,',
    '000001,ambiguous,reason 1,"{""integration"":1}",,fill,2,open,,,,',
  ]);
});

test('CSV holds nothing that a spreadsheet would run, and quotes what it must', async () => {
  const runId = await runWithExceptions(0);
  await storeExceptions(
    api.db,
    ['=HYPERLINK("http://x")', '+1', '-1+cmd', '@SUM(A1)', '\t=1', 'a,"b"\nc'].map((reason, n) => ({
      runId,
      exceptionId: n + 1,
      sortKey: reason,
      phase: 'fill',
      key: JSON.stringify([reason, String(n)]),
      kind: 'ambiguous' as const,
      reason,
      suggestion: reason,
      sqlstate: null,
    })),
  );
  const { text } = await api.call('viewer', 'GET', `/api/runs/${runId}/report?format=csv`);
  expect(text).not.toMatch(/(^|,)"?[=+@\t-]/m);
  expect(text).toContain('"a,""b""\nc"');
  expect(text).toContain('"\'=HYPERLINK(""http://x"")"');
});

test('exceptions are listed in pages, by kind and phase', async () => {
  const runId = await runWithExceptions(250);
  const seen: string[] = [];
  let after = '';
  for (let pages = 1; ; pages += 1) {
    const { body } = await api.call('viewer', 'GET', `/api/runs/${runId}/exceptions?limit=100${after}`);
    seen.push(...(body.exceptions as { key: string[] }[]).map(({ key }) => key.join()));
    if (body.next === null) {
      expect(pages).toBe(3);
      break;
    }
    after = `&after=${encodeURIComponent(String(body.next))}`;
  }
  expect(new Set(seen).size).toBe(250);
  const failed = await api.call('viewer', 'GET', `/api/runs/${runId}/exceptions?kind=failed&limit=1000`);
  expect(failed.body.exceptions).toHaveLength(84);
  const none = await api.call('viewer', 'GET', `/api/runs/${runId}/exceptions?phase=widen`);
  expect(none.body).toEqual({ exceptions: [], next: null });
});

test.each(['abc', 'W10', 'WyJhIiwiYiIsImMiXQ'])('the page "%s" is refused', async (after) => {
  const runId = await runWithExceptions(1);
  const { status } = await api.call('viewer', 'GET', `/api/runs/${runId}/exceptions?after=${after}`);
  expect(status).toBe(400);
});

test('the migration log is listed, filtered and exported', async () => {
  const entry = { planName: 'log-plan', target: 'shop', tableName: 'items', performedBy: 'ana' };
  for (const runId of ['log-1', 'log-2', 'log-3']) {
    const key = { runId, phase: 'fill', action: 'backfill' as const };
    await openLogEntry(api.db, key, entry);
    const counts = { processed: 5, migrated: 3, skipped: 0, ambiguous: 1, failed: 1 };
    await updateLogEntry(api.db, key, { counts, errorDetails: [{ key: ['1'] }], outcome: 'completed' });
  }
  const list = async (query: string) => (await api.call('viewer', 'GET', `/api/migration-log?${query}`)).body;
  const first = await list('plan=log-plan&limit=2');
  expect(first.entries).toMatchObject([
    { run: 'log-3', table: 'items', processed: 5, succeeded: 3, failed: 1, ambiguous: 1, performedBy: 'ana' },
    { run: 'log-2' },
  ]);
  expect(await list(`plan=log-plan&limit=2&before=${first.next}`)).toMatchObject({
    entries: [{ run: 'log-1', errorDetails: [{ key: ['1'] }] }],
    next: null,
  });
  expect(await list('run=log-2&action=undo')).toEqual({ entries: [], next: null });
  const csv = await api.call('viewer', 'GET', '/api/migration-log?plan=log-plan&format=csv');
  const [header, line, ...others] = csv.text.trimEnd().split('\n');
  expect(header).toMatch(/^id,run,plan,target,phase,table,action,processed,succeeded/);
  expect(line).toContain(',log-3,log-plan,shop,fill,items,backfill,5,3,0,1,1,"[{""key"":[""1""]}]",ana,');
  expect(others).toHaveLength(2);
});

test('metrics count runs by status and requests by route, never by what stands in the path', async () => {
  await runWithExceptions(0);
  await api.call('viewer', 'GET', '/api/runs/some-secret-name');
  await api.call('viewer', 'GET', '/no/such/path');
  const { text } = await api.call(undefined, 'GET', '/metrics');
  expect(text).toMatch(/cutover_runs\{status="pending"\} [1-9]/);
  expect(text).toContain('cutover_runs{status="completed"} 0');
  expect(text).toMatch(/route="\/api\/runs\/:id",status="404"/);
  expect(text).not.toMatch(/some-secret-name|such\/path/);
});
