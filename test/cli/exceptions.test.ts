import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiOver, type TestApi, TOKENS } from '../api/test-api.ts';
import { type System, startSystem } from '../support/system.ts';
import { cutover } from './support/command-line.ts';

let system: System;
let api: TestApi;
let env: NodeJS.ProcessEnv;
let run: string;

beforeAll(async () => {
  system = await startSystem({
    setup: [
      'CREATE TABLE orders (id int PRIMARY KEY, typed text NOT NULL, customer int, checked varchar(3))',
      `INSERT INTO orders SELECT n, CASE WHEN n % 4 = 1 THEN n || ' or 9' WHEN n = 10 THEN 'Ann' ELSE n::text END
         FROM generate_series(1, 12) AS n`,
    ],
    transforms: [fileURLToPath(new URL('../fixtures/order-transforms.ts', import.meta.url))],
  });
  const { db, client: temporal } = system;
  api = apiOver({ db, temporal, targets: ['app'] }, system.config.databaseUrl);
  env = {
    CUTOVER_API_URL: await api.listen(),
    CUTOVER_TOKEN: TOKENS.find(({ role }) => role === 'operator')?.token,
  };
  const started = await system.start({
    name: 'orders',
    target: 'app',
    phases: [
      {
        kind: 'backfill',
        name: 'fill',
        table: 'orders',
        transform: { kind: 'registered', name: 'customer-of', version: 1 },
      },
    ],
  });
  run = started.id;
  await started.reaches('completed');
});
afterAll(async () => {
  await api?.close();
  await system?.close();
});

const exceptions = (...args: string[]) => cutover(['exceptions', ...args], env);
const cells = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/));
const idOf = async (row: string) => {
  const { stdout } = await exceptions('list', run, '--json');
  const found = (JSON.parse(stdout).exceptions as { id: string; key: string[] }[]).find(
    ({ key }) => key[0] === row,
  );
  return found?.id ?? '';
};

test('rows that were set aside are listed, counted by reason, shown and decided from the command line', async () => {
  const listed = await exceptions(run);
  expect(listed.code).toBe(0);
  expect(cells(listed.stdout).map(([, ...rest]) => rest)).toEqual([
    ['row', 'kind', 'status', 'phase', 'reason'],
    ['1', 'ambiguous', 'open', 'fill', 'two customers match'],
    ['5', 'ambiguous', 'open', 'fill', 'two customers match'],
    ['9', 'ambiguous', 'open', 'fill', 'two customers match'],
    ['10', 'ambiguous', 'open', 'fill', '"Ann" names no customer'],
  ]);
  expect(cells((await exceptions('reasons', run)).stdout)).toEqual([
    ['rows', 'acceptable', 'kind', 'status', 'phase', 'reason'],
    ['3', '3', 'ambiguous', 'open', 'fill', 'two customers match'],
    ['1', 'ambiguous', 'open', 'fill', '"Ann" names no customer'],
  ]);

  const accepted = await exceptions(
    'resolve',
    run,
    '--suggestion',
    '--reason',
    'two customers match',
    '--because',
    'so it is',
  );
  expect(accepted).toMatchObject({ code: 0, stdout: '✓ 3 resolved\n' });
  const ann = await idOf('10');
  const refused = await exceptions('resolve', run, ann, '--value', '{"customer": "Ann"}');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('column "customer" (integer): invalid input syntax');
  const left = await exceptions('replay', run, '--all');
  expect(left.code).toBe(1);
  expect(left.stdout).toContain('still open: 1 exception');
  expect(left.stdout).toContain('"Ann" names no customer');
  const skipped = await exceptions('skip', run, ann, '--because', 'a test order', '--json');
  expect(JSON.parse(skipped.stdout)).toMatchObject({
    key: ['10'],
    status: 'skipped',
    decidedBy: 'operator-ann',
  });
  const shown = await exceptions('show', run, ann);
  expect(shown.stdout).toMatch(/^row +10\n/);
  expect(shown.stdout).toMatch(/note +a test order/);
  expect((await exceptions('list', run, '--status', 'open')).stdout).toBe('There is none of these.\n');
  const { rows } = await system.target.query(
    'SELECT customer FROM orders WHERE id IN (1, 5, 9, 10) ORDER BY id',
  );
  expect(rows.map(({ customer }) => customer)).toEqual([1, 5, 9, null]);
});

test('a command line that does not say what to do is refused before anything is sent', async () => {
  for (const [args, next] of [
    [['resolve', run, '--all'], 'give either --value or --suggestion'],
    [['resolve', run, '--all', '--suggestion', '--value', '{}'], 'give either --value or --suggestion'],
    [['resolve', run, '--all', '--value', '[1]'], 'write columns and their values'],
    [['skip', run, '--all'], 'say why with --because'],
    [['list', run, '--kind', 'strange'], 'ambiguous'],
  ] as const) {
    const { code, stderr } = await exceptions(...args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(next)]);
  }
  expect(await exceptions('skip', run, '--phase', 'fill', '--because', 'x')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('say which'),
  });
  expect((await exceptions('show', run, '4711')).code).toBe(4);
});
