import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { drainSync } from '../../../src/engine/sync/drain.ts';
import { installSync } from '../../../src/engine/sync/install.ts';
import { backfillOf, type SyncJob } from '../../../src/engine/sync/job.ts';
import { defineTransform, migrated } from '../../../src/engine/transform/transform.ts';
import { verifySlice } from '../../../src/engine/verify/slice.ts';
import { until } from '../../support/until.ts';
import { type Bench, exceptionsOf, jobOf, openBench, phaseOf, runToEnd, transformJob } from '../harness.ts';
import { type Application, startApplication, type Write } from '../sync/application.ts';
import { connectApplication, syncOf } from '../sync/support.ts';
import { countsOf, verifyJobOf, verifyToEnd } from './support.ts';

/** Rows of these ids the application leaves alone, so that what is wrong with them stays so. */
const TAMPERED = [1, 500, 1501, 2999];
const KEYS = 3_000;

const twice = defineTransform({
  name: 'twice',
  version: 1,
  reads: ['old'],
  writes: ['new'],
  transform: ({ old }) => migrated({ new: old === null ? null : Number(old) * 2 }),
});
const sql = { kind: 'sql', set: { new: 'old::int * 2' } } as const;
const registered = { kind: 'registered', name: 'twice', version: 1 } as const;

let bench: Bench;
let application: Application | undefined;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int)');
  await bench.sql(`INSERT INTO t (id, old) SELECT n, n FROM generate_series(1, $1::int) n WHERE n % 3 > 0`, [
    KEYS,
  ]);
});
afterEach(async () => {
  await application?.stop();
  application = undefined;
  await bench.sql('DROP TABLE t CASCADE');
});

const random = (below: number) => Math.floor(Math.random() * below);
const anyId = () => {
  for (;;) {
    const id = random(KEYS);
    if (!TAMPERED.includes(id)) return id;
  }
};
/** Inserts, updates and deletes, in the old shape only: the new one is the sync's. */
const writeOld: Write = (client) => {
  const id = anyId();
  switch (random(4)) {
    case 0:
      return client.query('DELETE FROM t WHERE id = $1', [id]);
    case 1:
      return client.query('INSERT INTO t (id, old) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
        id,
        random(1000),
      ]);
    default:
      return client.query('UPDATE t SET old = $2 WHERE id = $1', [id, random(1000)]);
  }
};
/** Past all triggers, as what bypasses a sync does. */
const tamper = async () => {
  await bench.sql(
    `DO $$ BEGIN SET LOCAL session_replication_role = replica;
       UPDATE t SET new = -1 WHERE id = ANY ('{${TAMPERED}}'); END $$`,
  );
};
const tamperedNow = async () => (await bench.sql('SELECT FROM t WHERE new = -1')).length;
const listed = async (job: SyncJob) =>
  (await exceptionsOf(bench.target, backfillOf(job))).map(({ key, kind }) => `${key} ${kind}`);

describe.each([
  ['trigger', 'sql', sql],
  ['capture', 'sql', sql],
  ['capture', 'typescript', registered],
] as const)('while the application writes, under a sync of mode %s with %s', (mode, _, transform) => {
  it('exactly those rows are found that differ for good', async () => {
    const job = syncOf(phaseOf('t', { transform, batchSize: 100, maxBatchSize: 100 }), { mode }, [twice]);
    await installSync(bench.target, job);
    await runToEnd(bench.target, backfillOf(job));
    await tamper();
    const tampered = await tamperedNow();
    expect(tampered).toBeGreaterThan(0);
    application = startApplication(bench, writeOld);
    let over = false;
    const draining = (async () => {
      while (!over) await drainSync(bench.target, job);
    })();
    const given = { onDrift: 'fail', batchSize: 50 } as const;
    const verify = verifyJobOf(backfillOf(job), given, { syncs: ['keep'] });
    const options = { rowsPerRange: 400, settleMs: 200 };
    const verifying = ['a', 'b'].map((lane) =>
      verifyToEnd(bench.target, verify, { ...options, claimant: { lane, since: Date.now() } }),
    );
    await application.progress(300);
    const [counts] = await Promise.all(verifying);
    over = true;
    await draining;
    expect(counts).toMatchObject({ differing: tampered, repaired: 0, failed: 0, ambiguous: 0, pending: 0 });
    const rows = await bench.sql<{ id: number }>('SELECT id FROM t WHERE new = -1 ORDER BY id');
    expect((await listed(job)).sort()).toEqual(rows.map(({ id }) => `${id} differs`).sort());
  });
});

describe('where the application writes both shapes itself, one after the other', () => {
  it('a row that is between the two is no false alarm, and what is tampered with is found and repaired', async () => {
    const job = transformJob('t', twice, { batchSize: 100, maxBatchSize: 100 });
    await runToEnd(bench.target, job);
    await tamper();
    const tampered = await tamperedNow();
    application = startApplication(bench, async (client) => {
      const [id, value] = [anyId(), random(1000)];
      const { rowCount } = await client.query('UPDATE t SET old = $2 WHERE id = $1', [id, value]);
      // Everybody sees the row like this for a moment.
      await client.query('COMMIT; BEGIN');
      await client.query('SELECT pg_sleep(0.005)');
      if (rowCount)
        await client.query('UPDATE t SET new = $2 WHERE id = $1 AND old = $3', [id, value * 2, `${value}`]);
    });
    await application.progress(20);
    const given = { onDrift: 'fail', batchSize: 20 } as const;
    const counts = await verifyToEnd(bench.target, verifyJobOf(job, given), {
      rowsPerRange: 400,
      settleMs: 1_500,
    });
    expect(counts).toMatchObject({ differing: tampered, pending: 0 });

    const again = verifyJobOf(job, { batchSize: 20 }, { attempt: 'second' });
    const repaired = await verifyToEnd(bench.target, again, { rowsPerRange: 400, settleMs: 1_500 });
    expect(repaired).toMatchObject({ repaired: tampered, differing: 0, failed: 0, pending: 0 });
    expect(await tamperedNow()).toBe(0);
  });
});

describe('rows whose change was captured and is yet to be derived', () => {
  const captured = async () => {
    const job = syncOf(phaseOf('t', { transform: sql }), { mode: 'capture' });
    await installSync(bench.target, job);
    await runToEnd(bench.target, backfillOf(job));
    await drainSync(bench.target, job);
    const rows = (await bench.sql('SELECT FROM t')).length;
    await bench.sql('UPDATE t SET old = 7 WHERE id IN (4, 5)');
    const notes = 'SELECT FROM cutover.captured WHERE run_id = $1';
    expect(await bench.sql(notes, [job.runId])).toHaveLength(2);
    return { job, rows, verify: verifyJobOf(backfillOf(job), {}, { syncs: ['keep'] }) };
  };

  it('are waited for, and are equal once they are derived', async () => {
    const { job, rows, verify } = await captured();
    const verifying = verifyToEnd(bench.target, verify);
    await until(async () => (await bench.sql('SELECT FROM cutover.suspect WHERE looks > 1')).length === 2, {
      what: 'further looks at the captured rows',
    });
    await drainSync(bench.target, job);
    expect(await verifying).toEqual(countsOf(rows));
  });

  it('are left to their sync when that takes too long, and never counted as differing', async () => {
    const { rows, verify } = await captured();
    expect(await verifyToEnd(bench.target, verify, { capturedMs: 100 })).toEqual(
      countsOf(rows, { waiting: 2 }),
    );
    expect(await bench.sql('SELECT FROM t WHERE id IN (4, 5) AND new = 14')).toEqual([]);
  });

  it('are taken for differing when the queue is that of another sync', async () => {
    const { rows, verify } = await captured();
    const other = { ...verify, syncs: ['other'] };
    expect(await verifyToEnd(bench.target, other)).toEqual(countsOf(rows, { repaired: 2 }));
  });
});

describe('a row that the application holds for long', () => {
  it('is repaired as soon as it is free, and holds up no other', async () => {
    const job = jobOf(phaseOf('t', { transform: sql }));
    await runToEnd(bench.target, job);
    await tamper();
    const tampered = await tamperedNow();
    const client = await connectApplication(bench);
    try {
      await client.query('BEGIN');
      await client.query('SELECT FROM t WHERE id = 500 FOR UPDATE');
      const verify = verifyJobOf(job);
      const verifying = verifyToEnd(bench.target, verify);
      await until(async () => (await tamperedNow()) === 1, { what: 'the repair of the other rows' });
      await client.query('COMMIT');
      expect(await verifying).toMatchObject({ repaired: tampered, pending: 0 });
    } finally {
      await client.end();
    }
    expect(await tamperedNow()).toBe(0);
  });

  it('does not keep a slice longer than its time', async () => {
    const job = jobOf(phaseOf('t', { transform: sql }));
    await runToEnd(bench.target, job);
    await tamper();
    const client = await connectApplication(bench);
    try {
      await client.query('BEGIN; SELECT FROM t WHERE id = 500 FOR UPDATE');
      const options = { settleMs: 10, waitMs: 10, untilMs: 1_000 };
      const { done, counts } = await verifySlice(bench.target, verifyJobOf(job), options);
      expect(done).toBe(false);
      expect(counts.pending).toBeGreaterThan(0);
      expect(await bench.sql('SELECT new FROM t WHERE id = 500')).toEqual([{ new: -1 }]);
    } finally {
      await client.end();
    }
  });
});
