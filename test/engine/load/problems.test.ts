import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadProblems } from '../../../src/engine/load/problems.ts';
import { createPostgresTarget } from '../../../src/targets/postgres/connection.ts';
import { uniqueName } from '../../support/unique-name.ts';
import { type Bench, openBench, phaseOf } from '../harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new text)');
});
afterAll(() => bench.close());

const NIGHT = { from: '22:00', to: '06:00', timeZone: 'Europe/Berlin' };

it('finds nothing wrong with what can be measured, and hours that will come', async () => {
  const wal = { kind: 'wal-rate', limit: 1_000_000 } as const;
  const probe = { kind: 'sql', name: 'later', sql: 'SELECT n FROM not_there_yet', limit: 1 } as const;
  for (const throttle of [undefined, [{ kind: 'dead-tuples' } as const, wal, probe]])
    expect(await loadProblems(bench.target, phaseOf('t', { throttle, windows: [NIGHT] }))).toEqual([]);
});

it('names signals that would pause the backfill for ever, and hours that never come', async () => {
  const role = uniqueName('role').replaceAll('-', '_');
  await bench.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'weak'`);
  const url = new URL(bench.url);
  url.username = role;
  url.password = 'weak';
  const target = createPostgresTarget({ name: 'weak', url: url.href, poolSize: 1 });
  const throttle = [
    { kind: 'lock-waiters' } as const,
    { kind: 'oldest-xmin' } as const,
    { kind: 'replication-lag', replicas: 1 } as const,
  ];
  const notOn = Array.from({ length: 31 }, (_, index) => index + 1);
  const found = await loadProblems(target, phaseOf('t', { throttle, windows: [{ ...NIGHT, notOn }] }));
  await target.close();
  await bench.sql(`DROP ROLE ${role}`);
  expect(found).toEqual([
    {
      path: 'throttle[1]',
      problem: expect.stringContaining('GRANT pg_read_all_stats'),
      fix: expect.stringContaining('leave it out'),
    },
    {
      path: 'throttle[2]',
      problem: expect.stringContaining('0 standbys are connected, 1 wanted'),
      fix: expect.any(String),
    },
    { path: 'windows', problem: expect.stringContaining('no batch could run'), fix: expect.any(String) },
  ]);
});
