import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, expect, it } from 'vitest';
import { type EmbeddedPostgres, startPostgres } from '../../../../src/dev/postgres.ts';
import type { Measurement } from '../../../../src/domain/gate-verdict.ts';
import { createPostgresTarget } from '../../../../src/targets/postgres/connection.ts';
import { measureArchiveBacklog } from '../../../../src/targets/postgres/load/archive-backlog.ts';
import { readOldestXmin } from '../../../../src/targets/postgres/load/oldest-xmin.ts';
import { measureReplicationLag } from '../../../../src/targets/postgres/load/replication-lag.ts';
import { measureWraparoundVacuum } from '../../../../src/targets/postgres/load/wraparound-vacuum.ts';
import type { Session } from '../../../../src/targets/target.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';
import { until } from '../../../support/until.ts';

/*
 * What only a server of one's own can be brought to: standbys, archives, wraparound.
 */

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const FAST = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', shared_buffers: '16MB' };

function directory(): string {
  const { path, remove } = temporaryDirectory();
  closing.push(remove);
  return path;
}

async function server(dir: string, settings: Record<string, string>): Promise<EmbeddedPostgres> {
  const started = await startPostgres({ dir, say: () => {}, settings: { ...FAST, ...settings } });
  closing.push(() => started.stop());
  return started;
}

async function client(url: string): Promise<pg.Client> {
  const connected = new pg.Client(url);
  connected.on('error', () => {});
  await connected.connect();
  closing.push(() => connected.end());
  return connected;
}

function measuring(url: string) {
  const target = createPostgresTarget({ name: 'own', url, poolSize: 1 });
  closing.push(() => target.close());
  return <T>(measure: (session: Session) => Promise<T>) =>
    target.session({ statementTimeoutMs: 5_000, lockTimeoutMs: 100 }, measure);
}

const valueFrom = (measured: Measurement) => {
  if (measured.kind !== 'value') throw new Error(JSON.stringify(measured));
  return measured.value;
};

it('replication lag is that of a standby that does not replay, and none once it has replayed all', async () => {
  const [first, second] = [directory(), directory()];
  const empty = await startPostgres({ dir: first, say: () => {}, settings: FAST });
  const standbyData = empty.dataDir.replace(first, second);
  await empty.stop();
  // With its owner: under root the server runs as another user.
  execFileSync('cp', ['-a', `${first}/.`, second]);
  execFileSync('cp', ['-a', join(standbyData, 'PG_VERSION'), join(standbyData, 'standby.signal')]);
  const primary = await server(first, {});
  const { port, password } = new URL(primary.url);
  const standby = await server(second, {
    primary_conninfo: `host=127.0.0.1 port=${port} user=postgres password=${password} application_name=second`,
    hot_standby_feedback: 'on',
    wal_receiver_status_interval: '1',
  });
  const [writer, reader] = [await client(primary.url), await client(standby.url)];
  const measure = measuring(primary.url);
  const lag = (replicas = 1) => measure((session) => measureReplicationLag(session, replicas));

  await until(async () => (await lag()).kind === 'value', { what: 'the standby is connected' });
  await writer.query('CREATE TABLE t AS SELECT generate_series(1, 1000) AS id');
  await until(async () => valueFrom(await lag()) === 0, { what: 'the standby has replayed it' });
  expect(await lag(2)).toEqual({ kind: 'error', message: '1 standby is connected, 2 wanted' });

  await reader.query('SELECT pg_wal_replay_pause()');
  await until(
    async () => {
      await writer.query('INSERT INTO t VALUES (1)');
      return valueFrom(await lag()) > 1_500;
    },
    { what: 'a lag of more than 1.5 s' },
  );
  await reader.query('SELECT pg_wal_replay_resume()');
  await until(async () => valueFrom(await lag()) === 0, { what: 'no lag once it is idle' });

  // What a query on the standby needs is held back on the primary.
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t');
  const held = await until(async () => (await measure(readOldestXmin)).held, {
    what: 'the standby’s feedback',
  });
  await writer.query('INSERT INTO t VALUES (2)');
  expect((await measure(readOldestXmin)).held).toBe(held);
  await reader.query('COMMIT');

  await writer.query('CREATE ROLE curious');
  const asCurious = await measure(async (session) => {
    await session.query('SET ROLE curious');
    return measureReplicationLag(session, 0);
  });
  expect(asCurious).toMatchObject({ kind: 'error', message: expect.stringContaining('GRANT pg_monitor') });

  await reader.end();
  await standby.stop();
  await until(async () => (await lag()).kind === 'error', { what: 'the standby is missed' });
});

it('segments that cannot be archived are counted, before the first that could and after', async () => {
  const gate = join(directory(), 'open');
  const primary = await server(directory(), {
    archive_mode: 'on',
    archive_command: `test -e ${gate}`,
    min_wal_size: '32MB',
    max_wal_size: '64MB',
  });
  const writer = await client(primary.url);
  const measure = measuring(primary.url);
  const backlog = async () => valueFrom(await measure(measureArchiveBacklog));
  const segments = async (count: number) => {
    for (let n = 0; n < count; n += 1) {
      await writer.query("SELECT pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()");
    }
  };
  expect(await backlog()).toBe(0);
  await segments(3);
  await until(async () => (await backlog()) === 3, { what: 'three segments wait' });
  await writer.query('CREATE ROLE curious');
  const asCurious = await measure(async (session) => {
    await session.query('SET ROLE curious');
    return measureArchiveBacklog(session);
  });
  expect(asCurious).toMatchObject({ kind: 'error', message: expect.stringContaining('GRANT pg_monitor') });

  writeFileSync(gate, '');
  await until(async () => (await backlog()) === 0, { what: 'all are archived', deadlineMs: 90_000 });
  rmSync(gate);
  await segments(2);
  expect(await backlog()).toBe(2);
  // From then on the statistics tell, which everybody may read.
  const known = await measure(async (session) => {
    await session.query('SET ROLE curious');
    return measureArchiveBacklog(session);
  });
  expect(known).toEqual({ kind: 'value', value: 2 });
});

it('autovacuum against wraparound is seen while it works on the table, and a prepared transaction as old as it is', async () => {
  const primary = await server(directory(), {
    autovacuum_freeze_max_age: '100000',
    autovacuum_naptime: '1s',
    autovacuum_vacuum_cost_delay: '100ms',
    autovacuum_vacuum_cost_limit: '1',
    max_prepared_transactions: '2',
  });
  const writer = await client(primary.url);
  const measure = measuring(primary.url);
  const atWork = async (table: string) =>
    valueFrom(await measure((session) => measureWraparoundVacuum(session, table)));
  await writer.query('CREATE TABLE t (id int, pad text) PARTITION BY RANGE (id)');
  await writer.query('CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (0) TO (1000000)');
  await writer.query("INSERT INTO t SELECT n, repeat('x', 500) FROM generate_series(1, 20000) AS n");
  expect(await atWork('t')).toBe(0);
  await writer.query('CREATE TABLE young (id int)');
  await writer.query(`DO $$ BEGIN
    FOR n IN 1..101000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$`);
  await writer.query('CREATE TABLE newborn (id int)');
  await until(async () => (await atWork('t')) === 1, {
    what: 'autovacuum works on the partition',
    deadlineMs: 45_000,
  });
  expect(await atWork('newborn')).toBe(0);

  await writer.query("BEGIN; INSERT INTO newborn VALUES (1); PREPARE TRANSACTION 'old'");
  await until(async () => ((await measure(readOldestXmin)).transactionMs ?? 0) > 200, {
    what: 'the prepared transaction is 200 ms old',
  });
  await writer.query("ROLLBACK PREPARED 'old'");
}, 90_000);
