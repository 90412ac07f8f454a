import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { segmentNumber } from '../../../../src/targets/postgres/load/archive-backlog.ts';
import { measureDeadTuples } from '../../../../src/targets/postgres/load/dead-tuples.ts';
import { hideSeat, showSeat } from '../../../../src/targets/postgres/load/lane-locks.ts';
import { measureLockWaiters } from '../../../../src/targets/postgres/load/lock-waiters.ts';
import { readOldestXmin } from '../../../../src/targets/postgres/load/oldest-xmin.ts';
import { measureReplicationLag } from '../../../../src/targets/postgres/load/replication-lag.ts';
import { readWalPosition } from '../../../../src/targets/postgres/load/wal-position.ts';
import { measureWraparoundVacuum } from '../../../../src/targets/postgres/load/wraparound-vacuum.ts';
import type { Session } from '../../../../src/targets/target.ts';
import { uniqueName } from '../../../support/unique-name.ts';
import { until } from '../../../support/until.ts';
import { type Fixture, holdLock, startFixture } from '../fixture.ts';

let fixture: Fixture;
beforeEach(async () => {
  fixture = await startFixture();
  await fixture.sql('CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)');
  await fixture.sql('INSERT INTO t SELECT generate_series(1, 100)');
});
afterEach(() => fixture.stop());

/** As measurements are made: nothing may take long, and no lock is waited for. */
const measure = <T>(work: (session: Session) => Promise<T>) =>
  fixture.target.session({ statementTimeoutMs: 5_000, lockTimeoutMs: 100 }, work);

/** Waits in the background, until it gets what it waits for. */
async function waiting(client: pg.Client, sql: string): Promise<{ got: Promise<unknown> }> {
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
  const got = client.query(sql);
  const blocked = async () =>
    (await fixture.sql('SELECT FROM pg_locks WHERE pid = $1 AND NOT granted', [rows[0].pid])).length > 0;
  await until(blocked, { what: `"${sql}" waits` });
  return { got };
}

describe('lock waiters', () => {
  const waiters = async (backfill = 'run/fill', table = 't') => {
    const measured = await measure((session) => measureLockWaiters(session, table, backfill));
    return measured.kind === 'value' ? measured.value : measured;
  };

  it('are none while nobody waits, though the table is locked', async () => {
    const lock = await holdLock(fixture, 't');
    expect(await waiters()).toBe(0);
    await lock.release();
  });

  it('are those who wait for the table, or for one of its rows, in a queue or first', async () => {
    const [writer, first, second, third] = await Promise.all([1, 2, 3, 4].map(() => fixture.connect()));
    await writer?.query('BEGIN; UPDATE t SET n = 1 WHERE id = 7');
    const queue = [first, second].map((client) =>
      waiting(client as pg.Client, 'UPDATE t SET n = 2 WHERE id = 7'),
    );
    const [one, two] = await Promise.all(queue);
    expect(await waiters()).toBe(2);
    const schema = await waiting(third as pg.Client, 'ALTER TABLE t ADD COLUMN x int');
    expect(await waiters()).toBe(3);
    await writer?.query('COMMIT');
    await Promise.all([one?.got, two?.got, schema.got]);
    expect(await waiters()).toBe(0);
  });

  it('are not those who wait for something else', async () => {
    await fixture.sql('CREATE TABLE other (id int PRIMARY KEY)');
    const lock = await holdLock(fixture, 'other');
    const client = await fixture.connect();
    const { got } = await waiting(client, 'SELECT * FROM other');
    expect(await waiters()).toBe(0);
    expect(await waiters('run/fill', 'other')).toBe(1);
    await lock.release();
    await got;
  });

  it('count for a partitioned table whichever partition they wait for', async () => {
    await fixture.sql('CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)');
    await fixture.sql('CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id)');
    await fixture.sql('CREATE TABLE p11 PARTITION OF p1 FOR VALUES FROM (0) TO (50)');
    const lock = await holdLock(fixture, 'p11');
    const client = await fixture.connect();
    const { got } = await waiting(client, 'SELECT * FROM p11');
    // The lock itself would keep waiting whoever wanted to know the partitions by locking them.
    expect(await waiters('run/fill', 'p')).toBe(1);
    await lock.release();
    await got;
  });

  it('are also those whom a lane keeps waiting, for whatever, but never lanes themselves', async () => {
    await fixture.sql('CREATE TABLE other (id int PRIMARY KEY)');
    const session = (client: pg.Client) =>
      ({ query: (text: string, values?: unknown[]) => client.query(text, values) }) as unknown as Session;
    const [lane, sibling, app] = await Promise.all([1, 2, 3].map(() => fixture.connect()));
    await showSeat(session(lane as pg.Client), 'run/fill', 'work');
    await showSeat(session(sibling as pg.Client), 'run/fill', 'work');
    await lane?.query('BEGIN; INSERT INTO other VALUES (1); UPDATE t SET n = 1 WHERE id = 1');
    const conflict = await waiting(app as pg.Client, 'INSERT INTO other VALUES (1) ON CONFLICT DO NOTHING');
    const sameRow = await waiting(sibling as pg.Client, 'UPDATE t SET n = 2 WHERE id = 1');
    expect(await waiters()).toBe(1);
    expect(await waiters('another/fill')).toBe(0);
    await lane?.query('COMMIT');
    await Promise.all([conflict.got, sameRow.got]);
    await hideSeat(session(lane as pg.Client), 'run/fill', 'work');
  });
});

describe('dead rows', () => {
  const share = async (table: string) => {
    const measured = await measure((session) => measureDeadTuples(session, table));
    return measured.kind === 'value' ? measured.value : measured;
  };

  it('are a share of all rows, of all partitions together', async () => {
    await fixture.sql('CREATE TABLE p (id int, n int) PARTITION BY RANGE (id)');
    for (const [from, to] of [
      [0, 1000],
      [1000, 2000],
    ]) {
      await fixture.sql(
        `CREATE TABLE p${from} PARTITION OF p FOR VALUES FROM (${from}) TO (${to}) WITH (autovacuum_enabled = false)`,
      );
    }
    expect(await share('p')).toBe(0);
    await fixture.sql('INSERT INTO p SELECT n, 0 FROM generate_series(0, 1999) AS n');
    await fixture.sql('UPDATE p SET n = 1 WHERE id < 1000');
    await fixture.sql('SELECT pg_stat_force_next_flush()');
    await until(async () => (await share('p')) === 1000 / 3000, { what: 'a third of the rows is dead' });
    expect(await share('p0')).toBe(0.5);
    expect(await share('p1000')).toBe(0);
  });
});

describe('WAL', () => {
  it('is counted as it is written', async () => {
    const before = await measure(readWalPosition);
    await fixture.sql(`INSERT INTO t SELECT n, 0 FROM generate_series(1000, 21000) AS n`);
    const after = await measure(readWalPosition);
    expect(after.bytes - before.bytes).toBeGreaterThan(1_000_000);
    expect(after.at).toBeGreaterThan(before.at);
  });
});

describe('the oldest transaction', () => {
  it('is that of a session which has a snapshot or has written, and not one that only is open', async () => {
    const [idle, writer] = await Promise.all([fixture.connect(), fixture.connect()]);
    await idle.query('BEGIN');
    expect(await measure(readOldestXmin)).toMatchObject({ visible: true, transactionMs: null });
    await writer.query('BEGIN; UPDATE t SET n = 1 WHERE id = 1');
    await until(async () => ((await measure(readOldestXmin)).transactionMs ?? 0) > 100, {
      what: 'a transaction of 100 ms',
    });
    await writer.query('COMMIT');
    expect(await measure(readOldestXmin)).toMatchObject({ transactionMs: null });
  });

  it('is not seen by a role that may not see others’ transactions', async () => {
    const role = uniqueName('role').replaceAll('-', '_');
    await fixture.sql(`CREATE ROLE ${role}`);
    await measure(async (session) => {
      await session.query(`SET ROLE ${role}`);
      expect(await readOldestXmin(session)).toMatchObject({ visible: false });
    });
    await fixture.sql(`DROP ROLE ${role}`);
  });
});

describe('standbys', () => {
  it('that are wanted and not connected are missing data, and no lag where none is wanted', async () => {
    expect(await measure((session) => measureReplicationLag(session, 0))).toEqual({
      kind: 'value',
      value: 0,
    });
    expect(await measure((session) => measureReplicationLag(session, 2))).toEqual({
      kind: 'error',
      message: '0 standbys are connected, 2 wanted',
    });
  });
});

describe('a vacuum against wraparound', () => {
  it('is not seen in an ordinary vacuum', async () => {
    const holder = await fixture.connect();
    await holder.query('BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE');
    expect(await measure((session) => measureWraparoundVacuum(session, 't'))).toEqual({
      kind: 'value',
      value: 0,
    });
    await holder.query('COMMIT');
  });
});

describe('names of WAL segments', () => {
  it('count segments over the borders of 4 GiB, whatever their size and timeline', () => {
    const mib = 2 ** 20;
    expect(segmentNumber('000000010000000000000001', 16 * mib)).toBe(1);
    expect(segmentNumber('0000000300000002000000FF', 16 * mib)).toBe(2 * 256 + 255);
    expect(segmentNumber('000000010000000100000002', 64 * mib)).toBe(64 + 2);
    expect(segmentNumber('000000010000000000000007.00000028.backup', 16 * mib)).toBe(7);
    expect(segmentNumber('00000002.history', 16 * mib)).toBeUndefined();
    expect(segmentNumber('', 16 * mib)).toBeUndefined();
  });
});
