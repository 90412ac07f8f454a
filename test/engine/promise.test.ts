import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/engine/backfill/records.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { drainSync } from '../../src/engine/sync/drain.ts';
import { finishSync } from '../../src/engine/sync/finish.ts';
import { installSync } from '../../src/engine/sync/install.ts';
import { backfillOf, type SyncJob } from '../../src/engine/sync/job.ts';
import { defineTransform, failed, migrated } from '../../src/engine/transform/transform.ts';
import { verifySlice } from '../../src/engine/verify/slice.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import { forgetRun } from '../../src/targets/postgres/own-schema.ts';
import type { Target } from '../../src/targets/target.ts';
import { attempt, FAULTS, type Fault, faultyTarget, schedule } from './faults.ts';
import { type Bench, openBench, phaseOf } from './harness.ts';
import { startApplication, writeAtRandom } from './sync/application.ts';
import { syncOf } from './sync/support.ts';
import { QUICK, verifyJobOf } from './verify/support.ts';

const KEYS = 400;

let bench: Bench;
let workers: Target;
beforeAll(async () => {
  bench = await openBench();
  workers = createPostgresTarget({ name: 'workers', url: bench.url, poolSize: 8 });
});
afterAll(async () => {
  await workers.close();
  await bench.close();
});

const twice = defineTransform({
  name: 'twice',
  version: 1,
  reads: ['old'],
  writes: ['new'],
  transform: ({ old }) => (old === 'poison' ? failed('poison') : migrated({ new: Number(old) * 2 })),
});

const scenario = fc.record({
  how: fc.constantFrom(...(['trigger sql', 'capture sql', 'capture typescript'] as const)),
  batchSize: fc.integer({ min: 1, max: 80 }),
  rowsPerRange: fc.integer({ min: 20, max: 200 }),
  lanes: fc.integer({ min: 1, max: 3 }),
  faults: fc.array(
    fc.record({ after: fc.integer({ min: 0, max: 60 }), fault: fc.constantFrom<Fault>(...FAULTS) }),
    { maxLength: 20 },
  ),
});

/** Starts each lane again, whatever happens to it, until one says that all is done. */
async function onLanes(
  lanes: number,
  slice: (claimant: { lane: string; since: number }) => Promise<{ done: boolean }>,
): Promise<void> {
  for (let done = false; !done; ) {
    const started = performance.now();
    const ends = await Promise.all(
      Array.from({ length: lanes }, (_, lane) =>
        attempt(() => slice({ lane: `lane-${lane}`, since: Math.round(started * 1_000) })),
      ),
    );
    done = ends.some(Boolean);
  }
}

it('after verify every row equals its transform, whatever happened to workers and whatever the application wrote when', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ how, batchSize, rowsPerRange, lanes, faults }) => {
      await bench.sql('DROP TABLE IF EXISTS t');
      await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int)');
      await bench.sql(`INSERT INTO t (id, old) SELECT n, n FROM generate_series(1, $1::int, 2) AS n`, [KEYS]);
      const transform = how.endsWith('sql')
        ? ({ kind: 'sql', set: { new: 'old::int * 2' } } as const)
        : ({ kind: 'registered', name: 'twice', version: 1 } as const);
      const phase = phaseOf('t', { transform, batchSize, maxBatchSize: batchSize });
      const job: SyncJob = syncOf(phase, { mode: how.startsWith('trigger') ? 'trigger' : 'capture' }, [
        twice,
      ]);
      const next = schedule(faults);
      const target = faultyTarget(workers, bench, next);
      const application = startApplication(bench, writeAtRandom(KEYS));
      try {
        await installSync(bench.target, job);
        let migrating = true;
        const draining = (async () => {
          while (migrating) await attempt(async () => ({ done: (await drainSync(target, job)).begun }));
        })();
        const options = { rowsPerRange, untilMs: 50, waitMs: 5 };
        await onLanes(lanes, (claimant) => runSlice(target, backfillOf(job), { ...options, claimant }));
        const verify = verifyJobOf(backfillOf(job), {}, { syncs: [job.phase.name] });
        await onLanes(lanes, (claimant) =>
          verifySlice(target, verify, { ...QUICK, rowsPerRange, untilMs: 50, claimant }),
        );
        migrating = false;
        await draining;
        await application.progress(50);
      } finally {
        await application.stop();
      }
      expect((await finishSync(bench.target, job)).done).toBe(true);

      expect(
        await bench.sql(`SELECT * FROM t WHERE old ~ '^[0-9]+$' AND new IS DISTINCT FROM old::int * 2`),
      ).toEqual([]);
      const { counts } = (await readCheckpoint(bench.target, job.runId, phase.name)) ?? {};
      const {
        processed = -1,
        migrated: done = 0,
        skipped = 0,
        ambiguous = 0,
        failed: failing = 0,
      } = counts ?? {};
      expect(processed).toBe(done + skipped + ambiguous + failing);
      await bench.target.transaction({}, (session) => forgetRun(session, job.runId));
    }),
    { numRuns: 25, endOnFailure: true },
  );
}, 180_000);
