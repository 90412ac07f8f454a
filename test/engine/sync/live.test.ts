import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runSlice } from '../../../src/engine/backfill/slice.ts';
import { drainSync } from '../../../src/engine/sync/drain.ts';
import { finishSync, removeSync } from '../../../src/engine/sync/finish.ts';
import { installSync } from '../../../src/engine/sync/install.ts';
import { backfillOf, type SyncJob } from '../../../src/engine/sync/job.ts';
import { defineTransform, failed, migrated } from '../../../src/engine/transform/transform.ts';
import { forgetRun } from '../../../src/targets/postgres/own-schema.ts';
import { type Bench, openBench, phaseOf, undoToEnd } from '../harness.ts';
import { type Application, startApplication, writeAtRandom } from './application.ts';
import { noted, syncOf } from './support.ts';

const KEYS = 3_000;
/** The transform in SQL, as a condition that every row must meet; NULL is what a row has that it cannot be derived for. */
const RIGHT = `CASE WHEN old ~ '^[0-9]+$' THEN new IS NOT DISTINCT FROM old::int * 2 ELSE true END`;

const twice = defineTransform({
  name: 'twice',
  version: 1,
  reads: ['old'],
  writes: ['new'],
  transform: ({ old }) => {
    if (old === 'poison') return failed('poison');
    return migrated({ new: old === null ? null : Number(old) * 2 });
  },
});

let bench: Bench;
let application: Application | undefined;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int, touched int DEFAULT 0)');
  await bench.sql(`INSERT INTO t (id, old) SELECT n, n FROM generate_series(1, $1::int, 2) n`, [KEYS]);
  await bench.sql('ANALYZE t');
});
afterEach(async () => {
  await application?.stop();
  application = undefined;
  await bench.sql('DROP TABLE IF EXISTS t, copies CASCADE');
});

const sql = { kind: 'sql', set: { new: 'old::int * 2' } } as const;
const registered = { kind: 'registered', name: 'twice', version: 1 } as const;
const shape = { batchSize: 100, maxBatchSize: 100 };

/** Migrates the table while the application writes, and goes on until it has written some more. */
async function migrateUnderTraffic(job: SyncJob, write = writeAtRandom(KEYS)): Promise<void> {
  application = startApplication(bench, write);
  await application.progress(200);
  await installSync(bench.target, job);
  await application.progress(100);
  let migrationDone = false;
  const draining = (async () => {
    while (!migrationDone) await drainSync(bench.target, job);
  })();
  for (let done = false; !done; ) {
    ({ done } = await runSlice(bench.target, backfillOf(job), { untilMs: 0 }));
    await application.progress(20);
  }
  migrationDone = true;
  await draining;
  await application.progress(200);
}

/** Rows that are wrong, of those that were written before the sync was removed. */
const wrong = (job: SyncJob) =>
  bench.sql(
    `SELECT * FROM t
      WHERE NOT (${RIGHT}) AND age(xmin) >= (SELECT age(xmin) FROM cutover.sync WHERE run_id = $1 AND removed)`,
    [job.runId],
  );

describe.each([
  ['trigger', 'sql', sql],
  ['capture', 'sql', sql],
  ['capture', 'typescript', registered],
] as const)(
  'mode %s with %s, while the application inserts, updates, deletes and changes keys',
  (mode, _, transform) => {
    it('leaves every row as its transform says, and nothing of itself', async () => {
      const before = await triggersOnT();
      const job = syncOf(phaseOf('t', { transform, ...shape }), { mode }, [twice]);
      await migrateUnderTraffic(job);
      const finished = await finishSync(bench.target, job);
      expect(finished.done).toBe(true);
      expect(await wrong(job)).toEqual([]);
      expect(await noted(bench)).toEqual([]);
      expect(await triggersOnT()).toEqual(before);
      await application?.progress(50);
      await application?.stop();
      application = undefined;
      await bench.target.transaction({}, (session) => forgetRun(session, job.runId));
      expect(await bench.sql(`SELECT FROM pg_namespace WHERE nspname = 'cutover'`)).toEqual([]);
    });

    it('is undone with the backfill: rows that the application did not write in the new shape are as they were', async () => {
      const job = syncOf(phaseOf('t', { transform, ...shape }), { mode }, [twice]);
      await migrateUnderTraffic(job, writeAtRandom(KEYS, { moves: false }));
      expect(await removeSync(bench.target, job)).toBe(true);
      await application?.stop();
      application = undefined;
      const { kept } = await undoToEnd(bench.target, backfillOf(job));
      const [left] = await bench.sql<{ rows: number }>('SELECT count(new)::int AS rows FROM t');
      if (mode === 'capture')
        expect({ left: left?.rows, kept }).toEqual({ left: 0, kept: expect.any(Number) });
      await expect(installSync(bench.target, job)).rejects.toThrow(
        'not installed on the target, or was removed',
      );
      await expect(drainSync(bench.target, job)).rejects.toThrow('not installed');
      await bench.target.transaction({}, (session) => forgetRun(session, job.runId));
    });
  },
);

/** The copies must be those of the rows, whatever became of the rows meanwhile. */
describe.each(['trigger', 'capture'] as const)('copies by mode %s, under the same application', (mode) => {
  it('are those of the rows that there are', async () => {
    await bench.sql('CREATE TABLE copies (id int PRIMARY KEY, doubled int)');
    const fill = phaseOf('t', {
      transform: {
        kind: 'insert',
        into: 'copies',
        values: { id: 'id', doubled: 'old::int * 2' },
        identifiedBy: ['id'],
        onConflict: 'update',
      },
      ...shape,
    });
    const job = syncOf(fill, { mode });
    await migrateUnderTraffic(job);
    await application?.stop();
    application = undefined;
    expect(await finishSync(bench.target, job)).toMatchObject({ done: true });
    const differing = await bench.sql(
      `SELECT * FROM t FULL JOIN copies USING (id)
        WHERE t.id IS NULL OR (old <> 'poison' AND doubled IS DISTINCT FROM old::int * 2)`,
    );
    expect(differing).toEqual([]);
  });
});

const triggersOnT = () => bench.sql(`SELECT tgname FROM pg_trigger WHERE tgrelid = 't'::regclass ORDER BY 1`);
