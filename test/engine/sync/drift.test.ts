import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runSlice } from '../../../src/engine/backfill/slice.ts';
import { type CheckOptions, checkSync } from '../../../src/engine/sync/check.ts';
import { drainSync } from '../../../src/engine/sync/drain.ts';
import { finishSync } from '../../../src/engine/sync/finish.ts';
import { installSync } from '../../../src/engine/sync/install.ts';
import { backfillOf, type SyncJob } from '../../../src/engine/sync/job.ts';
import { rescanSync } from '../../../src/engine/sync/rescan.ts';
import { type TendOptions, tendSync } from '../../../src/engine/sync/tend.ts';
import { defineTransform, migrated, skipped } from '../../../src/engine/transform/transform.ts';
import { type Bench, exceptionsOf, openBench, phaseOf, runToEnd } from '../harness.ts';
import { type Application, startApplication } from './application.ts';
import { connectApplication, noted, syncOf } from './support.ts';

const ROWS = 2_000;

let bench: Bench;
let application: Application | undefined;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.sql('DROP SCHEMA IF EXISTS cutover CASCADE');
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int)');
  await bench.sql(`INSERT INTO t (id, old) SELECT n, n FROM generate_series(1, $1::int) n`, [ROWS]);
});
afterEach(async () => {
  await application?.stop();
  application = undefined;
  await bench.sql('DROP TABLE IF EXISTS t, t_before CASCADE');
});

const sql = { kind: 'sql', set: { new: 'old::int * 2' } } as const;
const fill = (given = {}) => phaseOf('t', { transform: sql, batchSize: 500, maxBatchSize: 500, ...given });
const check = (job: SyncJob, options: Partial<CheckOptions> = {}) =>
  checkSync(bench.target, job, { draining: true, longestWaitMs: 60_000, recheckMs: 1, ...options });
const tend = (job: SyncJob, options: Partial<TendOptions> = {}) =>
  tendSync(bench.target, job, {
    intervalMs: 10,
    untilMs: 0,
    paused: false,
    known: [],
    repair: true,
    recheckMs: 1,
    ...options,
  });
/** Has everything derived that is known to need it. */
const settle = async (job: SyncJob) => {
  expect(await rescanSync(bench.target, job)).toBe(true);
  expect(await drainSync(bench.target, job)).toMatchObject({ passed: true, busy: 0 });
};
const wrong = () => bench.sql(`SELECT id FROM t WHERE new IS DISTINCT FROM old::int * 2`);
const trigger = async () => {
  const [row] = await bench.sql<{ name: string }>(
    `SELECT tgname AS name FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal ORDER BY 1 DESC`,
  );
  return row?.name ?? '';
};

/** An installed sync whose backfill is through. */
async function synced(given: Parameters<typeof syncOf>[1] = {}, backfill = fill()): Promise<SyncJob> {
  const job = syncOf(backfill, given);
  await installSync(bench.target, job);
  await runToEnd(bench.target, backfillOf(job));
  return job;
}

describe.each(['trigger', 'capture'] as const)('triggers of mode %s that were out of order', (mode) => {
  it.each([
    ['disabled', async () => `ALTER TABLE t DISABLE TRIGGER "${await trigger()}"`, 'is disabled'],
    ['disabled with all others', async () => 'ALTER TABLE t DISABLE TRIGGER ALL', 'is disabled'],
    ['dropped', async () => `DROP TRIGGER "${await trigger()}" ON t`, 'is missing'],
  ])(
    'because they were %s: are found and mended, and every row written meanwhile is derived anew',
    async (_, harm, reason) => {
      const job = await synced({ mode });
      expect(await check(job)).toEqual([]);
      await bench.sql(await harm());
      await bench.sql(`UPDATE t SET old = id * 7 WHERE id % 3 = 0; INSERT INTO t VALUES (${ROWS + 5}, '5')`);
      expect(await check(job, { sampleRows: 1 })).toContainEqual(
        expect.objectContaining({ kind: 'triggers', reason: expect.stringContaining(reason) }),
      );
      expect(await tend(job, { sampleRows: 1 })).toMatchObject({
        drifts: expect.arrayContaining([expect.objectContaining({ kind: 'triggers' })]),
      });
      await settle(job);
      expect(await wrong()).toEqual([]);
      expect(await check(job)).toEqual([]);
      await bench.sql(`UPDATE t SET old = id * 9`);
      expect(await finishSync(bench.target, job)).toMatchObject({ done: true });
      expect(await wrong()).toEqual([]);
    },
  );

  it('and were put in order again by somebody else are noticed all the same', async () => {
    const job = await synced({ mode });
    const name = await trigger();
    await bench.sql(`ALTER TABLE t DISABLE TRIGGER "${name}"`);
    await bench.sql(`UPDATE t SET old = '1' WHERE id = 77`);
    await bench.sql(`ALTER TABLE t ENABLE TRIGGER "${name}"`);
    expect(await check(job, { sampleRows: 1 })).toContainEqual(
      expect.objectContaining({ kind: 'triggers', reason: expect.stringContaining('somebody has altered') }),
    );
    await tend(job, { sampleRows: 1 });
    await settle(job);
    expect(await wrong()).toEqual([]);
  });

  it('because the table was built anew under its name: are found and mended', async () => {
    const job = await synced({ mode });
    await bench.sql('ALTER TABLE t RENAME TO t_before; CREATE TABLE t (LIKE t_before INCLUDING ALL)');
    await bench.sql(`INSERT INTO t SELECT id, old || '1', new FROM t_before`);
    await tend(job, { sampleRows: 1 });
    await settle(job);
    expect(await wrong()).toEqual([]);
    await bench.sql('DROP TABLE t_before');
    expect(await finishSync(bench.target, job)).toMatchObject({ done: true });
  });
});

describe('the watch', () => {
  it('sees a trigger that is disabled on one partition alone', async () => {
    await bench.sql('DROP TABLE t');
    await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int) PARTITION BY HASH (id)');
    await bench.sql('CREATE TABLE t_a PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0)');
    await bench.sql('CREATE TABLE t_b PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)');
    await bench.sql(`INSERT INTO t SELECT n, n FROM generate_series(1, 100) n`);
    const job = await synced();
    await bench.sql('ALTER TABLE t_b DISABLE TRIGGER USER');
    await bench.sql(`UPDATE t SET old = '5'`);
    const [found] = await check(job);
    expect(found?.reason).toContain('on public.t_b is disabled');
    await tend(job);
    await settle(job);
    expect(await wrong()).toEqual([]);
    expect(await check(job)).toEqual([]);
  });

  it.each(['trigger', 'capture', 'application'] as const)(
    'of mode %s finds writes that triggers do not see, names them, and has them derived',
    async (mode) => {
      const job = await synced({ mode });
      await bench.sql(`SET session_replication_role = replica; UPDATE t SET old = '1' WHERE id IN (5, 1999)`);
      const [found] = await check(job);
      expect(found).toMatchObject({ kind: 'rows', keys: expect.arrayContaining([['5'], ['1999']]) });
      expect(found?.reason).toMatch(/^2 of \d+ sampled rows of t differ from their transform: \(/);
      expect(await tend(job)).toMatchObject({ repaired: 2, drifts: [{ kind: 'rows' }] });
      expect(await tend(job, { known: ['rows'] })).toMatchObject({ drained: 2, drifts: [] });
      expect(await wrong()).toEqual([]);
    },
  );

  it('names no keys that the plan redacts', async () => {
    const job = await synced({ mode: 'application' }, fill({ redact: ['id'] }));
    await bench.sql(`UPDATE t SET new = 0 WHERE id = 5`);
    const [found] = await check(job);
    expect(found?.reason).toMatch(/^1 of \d+ sampled rows of t differ from their transform$/);
  });

  it('writes nothing unless it is told to repair, nor while the run is paused', async () => {
    const job = await synced({ mode: 'application' });
    await bench.sql(`UPDATE t SET new = 0 WHERE id = 5`);
    for (const options of [{ repair: false }, { paused: true }]) {
      expect(await tend(job, options)).toMatchObject({ repaired: 0, drifts: [{ kind: 'rows' }] });
    }
    expect(await noted(bench)).toEqual([]);
    expect(await wrong()).toEqual([{ id: 5 }]);
  });

  it('asks nothing of rows that the backfill has yet to come past, and looks at those behind it', async () => {
    const job = syncOf(fill());
    await installSync(bench.target, job);
    expect(await check(job)).toEqual([]);
    await runSlice(bench.target, backfillOf(job), { untilMs: 0 });
    expect(await check(job)).toEqual([]);
    await bench.sql(`SET session_replication_role = replica; UPDATE t SET new = 0 WHERE id IN (3, 1500);
      INSERT INTO t VALUES (${ROWS + 1}, '1')`);
    const [found] = await check(job);
    expect(found?.keys.sort()).toEqual([[String(ROWS + 1)], ['3']]);
  });

  it('takes rows in flight for what they are: an application that writes both shapes, one after the other', async () => {
    const job = await synced({ mode: 'application' });
    application = startApplication(bench, async (client) => {
      const id = Math.ceil(Math.random() * ROWS);
      await client.query('UPDATE t SET old = old::int + 1 WHERE id = $1', [id]);
      await client.query('COMMIT; BEGIN');
      await client.query('UPDATE t SET new = old::int * 2 WHERE id = $1', [id]);
    });
    for (let round = 0; round < 10; round += 1) {
      await application.progress(20);
      expect(await check(job, { recheckMs: 100 })).toEqual([]);
    }
  });

  it('does not count rows that are set aside, skipped, changed by time, or do not meet the condition', async () => {
    await bench.sql(`UPDATE t SET old = 'poison' WHERE id IN (8, 9)`);
    const job = await synced({}, fill({ where: `id <> 11 AND (old = 'poison' OR old::int > 0)` }));
    await bench.sql(`SET session_replication_role = replica; UPDATE t SET new = 1 WHERE id IN (8, 11)`);
    expect(await check(job)).toEqual([]);
    expect(await exceptionsOf(bench.target, backfillOf(job))).toHaveLength(2);

    const even = defineTransform({
      name: 'even',
      version: 1,
      reads: ['id', 'old'],
      writes: ['new'],
      transform: ({ id }) => (Number(id) % 2 === 0 ? migrated({ new: '1e1' }) : skipped()),
    });
    const typed = syncOf(
      phaseOf('t', { name: 'typed', transform: { kind: 'registered', name: 'even', version: 1 } }),
      { mode: 'capture' },
      [even],
    );
    await finishSync(bench.target, job);
    await bench.sql('ALTER TABLE t ALTER new TYPE numeric(8,2)');
    await installSync(bench.target, typed);
    await runToEnd(bench.target, backfillOf(typed));
    expect(await check(typed)).toEqual([]);
    await bench.sql(`SET session_replication_role = replica; UPDATE t SET new = 1 WHERE id IN (21, 22)`);
    expect(await check(typed)).toMatchObject([{ kind: 'rows', keys: [['22']] }]);
  });

  it('tells when captured changes do not get less, or wait for long', async () => {
    const job = await synced({ mode: 'capture', queueLimit: 2 });
    const other = await connectApplication(bench);
    try {
      await bench.sql(`UPDATE t SET old = '5' WHERE id <= 3`);
      await other.query('BEGIN; SELECT FROM t WHERE id <= 3 FOR UPDATE');
      expect(await drainSync(bench.target, job)).toMatchObject({ keys: 0, busy: 3, passed: true });
      const [queue] = await check(job, { longestWaitMs: 0 });
      expect(queue?.kind).toBe('queue');
      expect(queue?.reason).toMatch(
        /^more than 2 captured changes wait; the oldest captured change waits for \d+ s$/,
      );
      expect(await check(job, { draining: false, longestWaitMs: 0 })).toEqual([]);
    } finally {
      await other.end();
    }
    expect(await drainSync(bench.target, job)).toMatchObject({ keys: 3, busy: 0 });
    expect(await wrong()).toEqual([]);
  });

  it('passes the rows on to the exceptions on which an expression fails, and clears its notes', async () => {
    const job = await synced();
    await bench.sql(`UPDATE t SET old = 'poison' WHERE id = 4`);
    expect(await noted(bench)).toEqual([['4']]);
    expect(await tend(job)).toMatchObject({ drained: 1, failed: 1, drifts: [] });
    expect(await exceptionsOf(bench.target, backfillOf(job))).toMatchObject([
      { key: ['4'], kind: 'failed', sqlstate: '22P02' },
    ]);
    expect(await noted(bench)).toEqual([]);
    expect(await bench.sql('SELECT new FROM t WHERE id = 4')).toEqual([{ new: 8 }]);
    // Written so that it can be derived, it is nobody's business any more; so is a row that is gone.
    await bench.sql(`UPDATE t SET old = 'poison' WHERE id = 5; UPDATE t SET old = '9' WHERE id = 4`);
    await tend(job);
    await settle(job);
    const statuses = async () => {
      const rows = await bench.sql<{ key: string[]; status: string }>(
        'SELECT key, status FROM cutover.exception ORDER BY id',
      );
      return rows.map(({ key, status }) => `${key} ${status}`);
    };
    expect(await statuses()).toEqual(['4 replayed', '5 open']);
    await bench.sql(`ALTER TABLE t DISABLE TRIGGER USER; UPDATE t SET old = '10' WHERE id = 5`);
    await tend(job);
    await settle(job);
    expect(await statuses()).toEqual(['4 replayed', '5 replayed']);
    expect(await wrong()).toEqual([]);
    await bench.sql(`UPDATE t SET old = 'poison' WHERE id = 6`);
    await settle(job);
    await bench.sql('DELETE FROM t WHERE id = 6');
    await tend(job);
    await settle(job);
    expect(await statuses()).toEqual(['4 replayed', '5 replayed', '6 skipped']);
  });
});
