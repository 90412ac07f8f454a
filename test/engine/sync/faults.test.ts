import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runSlice } from '../../../src/engine/backfill/slice.ts';
import { drainSync } from '../../../src/engine/sync/drain.ts';
import { finishSync, removeSync } from '../../../src/engine/sync/finish.ts';
import { installSync } from '../../../src/engine/sync/install.ts';
import { backfillOf, type SyncJob } from '../../../src/engine/sync/job.ts';
import { tendSync } from '../../../src/engine/sync/tend.ts';
import { ambiguous, defineTransform, migrated } from '../../../src/engine/transform/transform.ts';
import type { Target } from '../../../src/targets/target.ts';
import { attempt, FAULTS, type Fault, faultyTarget, schedule } from '../faults.ts';
import { type Bench, openBench, phaseOf, undoToEnd } from '../harness.ts';
import { startApplication, writeAtRandom } from './application.ts';
import { syncOf } from './support.ts';

const KEYS = 300;

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

const twice = defineTransform({
  name: 'twice',
  version: 1,
  reads: ['old'],
  writes: ['new'],
  transform: ({ old }) => (old === 'poison' ? ambiguous('poison') : migrated({ new: Number(old) * 2 })),
});
const sql = { kind: 'sql', set: { new: 'old::int * 2' } } as const;
const registered = { kind: 'registered', name: 'twice', version: 1 } as const;

const scenario = fc.record({
  form: fc.constantFrom(
    { mode: 'trigger', transform: sql } as const,
    { mode: 'capture', transform: sql } as const,
    { mode: 'capture', transform: registered } as const,
  ),
  batchSize: fc.integer({ min: 5, max: 200 }),
  undone: fc.boolean(),
  faults: fc.array(
    fc.record({
      after: fc.integer({ min: 0, max: 40 }),
      fault: fc.constantFrom<Fault>(...FAULTS.filter((fault) => fault !== 'steal')),
    }),
    { maxLength: 25 },
  ),
});

/** Does it until it is done, whatever happens to the worker. */
async function untilDone(work: () => Promise<unknown>): Promise<void> {
  while (!(await attempt(async () => ({ done: (await work()) !== false })))) {
    // The next attempt may have more luck.
  }
}

async function migrateWith(worker: Target, job: SyncJob): Promise<void> {
  await untilDone(() => installSync(worker, job));
  const tended = { intervalMs: 20, untilMs: 0, paused: false, known: [], repair: true, recheckMs: 1 };
  await untilDone(async () => {
    const { done } = await runSlice(worker, backfillOf(job), { untilMs: 10, waitMs: 5 });
    await untilDone(() => tendSync(worker, job, tended));
    return done;
  });
}

it('whatever happens to workers while the application writes, no change is lost and nothing stays behind', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ form, batchSize, undone, faults }) => {
      await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int)');
      await bench.sql('INSERT INTO t SELECT n, n FROM generate_series(1, $1::int, 2) n', [KEYS]);
      const { mode, transform } = form;
      const fill = phaseOf('t', { transform, batchSize, maxBatchSize: batchSize });
      const job = syncOf(fill, { mode, lockTimeout: '100ms', lockAttempts: 100 }, [twice]);
      const worker = faultyTarget(bench.target, bench, schedule(faults));
      const application = startApplication(bench, writeAtRandom(KEYS, { moves: !undone }), 2);
      try {
        await migrateWith(worker, job);
        await application.progress(20);
        if (undone) await untilDone(() => removeSync(worker, job));
        else await untilDone(async () => (await finishSync(worker, job)).done);
      } finally {
        await application.stop();
      }
      expect(await bench.sql('SELECT FROM cutover.captured')).toEqual([]);
      expect(await bench.sql(`SELECT FROM pg_trigger WHERE tgrelid = 't'::regclass`)).toEqual([]);
      await expect(drainSync(bench.target, job)).rejects.toThrow('not installed');
      if (undone) await undoneExactly(job);
      else await derivedExactly(job);
      await bench.sql('DROP TABLE t; DROP SCHEMA cutover CASCADE');
    }),
    { numRuns: 8 },
  );
}, 180_000);

/** Of what was written before the sync was removed. */
async function derivedExactly({ runId }: SyncJob): Promise<void> {
  const wrong = await bench.sql(
    `SELECT * FROM t
      WHERE old <> 'poison' AND new IS DISTINCT FROM old::int * 2
        AND age(xmin) >= (SELECT age(xmin) FROM cutover.sync WHERE run_id = $1)`,
    [runId],
  );
  expect(wrong).toEqual([]);
}

/** Where triggers write nothing themselves, every row that is there gets back what it had: nothing. */
async function undoneExactly(job: SyncJob): Promise<void> {
  await undoToEnd(bench.target, backfillOf(job));
  if (job.phase.mode !== 'capture') return;
  expect(await bench.sql('SELECT * FROM t WHERE new IS NOT NULL')).toEqual([]);
}
