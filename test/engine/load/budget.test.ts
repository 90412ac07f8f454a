import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { runSlice } from '../../../src/engine/backfill/slice.ts';
import { type LoadPace, openPace } from '../../../src/engine/load/pace.ts';
import { createPostgresTarget } from '../../../src/targets/postgres/connection.ts';
import type { Target } from '../../../src/targets/target.ts';
import { until } from '../../support/until.ts';
import { type Bench, countWrites, jobOf, openBench, phaseOf } from '../harness.ts';

let bench: Bench;
/** As two workers have it, each with its own pool. */
let workers: [Target, Target];
beforeAll(async () => {
  bench = await openBench();
  const worker = () => createPostgresTarget({ name: 'shop', url: bench.url, poolSize: 4, budget: 2 });
  workers = [worker(), worker()];
});
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.close()));
  await bench.close();
});
beforeEach(async () => {
  for (const table of ['a', 'b']) {
    await bench.sql(`DROP TABLE IF EXISTS ${table}`);
    await bench.sql(
      `CREATE TABLE ${table} (id int PRIMARY KEY, old text, new text, writes int NOT NULL DEFAULT 0)`,
    );
    await bench.sql(`INSERT INTO ${table} SELECT n, n::text FROM generate_series(1, 3000) AS n`);
    await countWrites(bench, table);
  }
});

const slowJob = (table: string, ms: number) =>
  jobOf(
    phaseOf(table, {
      batchSize: 10,
      maxBatchSize: 10,
      transform: {
        kind: 'sql',
        set: { new: `CASE WHEN pg_sleep(${ms / 1_000}) IS NULL THEN NULL ELSE old END` },
      },
    }),
  );

/** Runs lanes of the backfill on one of the workers to its end. */
function run(target: Target, job: ReturnType<typeof jobOf>, lanes: number) {
  const paces: LoadPace[] = [];
  const slices = Array.from({ length: lanes }, async (_, lane) => {
    const pace = openPace(target, job, { direction: 'forward', lanes });
    paces.push(pace);
    try {
      return await runSlice(target, job, {
        pace,
        rowsPerRange: 100,
        waitMs: 100,
        claimant: { lane: `lane-${lane}`, since: Date.now() },
      });
    } finally {
      await pace.close();
    }
  });
  const report = () => paces.map((pace) => pace.report()).find((found) => found);
  return { slices, done: () => Promise.all(slices), report };
}

/** Backends that hold the lock of a lane at work, by their backfill. */
const atWork = () =>
  bench.sql<{ backfill: string; pid: number }>(
    `SELECT objid::text AS backfill, pid FROM pg_locks
      WHERE locktype = 'advisory' AND classid = ${0x63757431}
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );

it('two runs on two workers share one budget: never more lanes at work than it allows, and both get on', async () => {
  const a = run(workers[0], slowJob('a', 1), 4);
  await until(async () => (await atWork()).length === 2, { what: 'the first run uses the whole budget' });
  const b = run(workers[1], slowJob('b', 1), 4);
  let over = false;
  let most = 0;
  const bothAtOnce = new Set<number>();
  const watching = (async () => {
    while (!over) {
      const lanes = await atWork();
      most = Math.max(most, lanes.length);
      bothAtOnce.add(new Set(lanes.map(({ backfill }) => backfill)).size);
      await delay(5);
    }
  })();
  await until(async () => (await bench.sql('SELECT FROM b WHERE new IS NOT NULL LIMIT 1')).length === 1, {
    what: 'the second run gets its share while the first has work for all',
  });
  expect(await bench.sql('SELECT FROM a WHERE new IS NULL LIMIT 1')).toHaveLength(1);
  const limiter = await until(() => b.report()?.limiter, { what: 'the second run says what limits it' });
  expect(limiter).toMatchObject({ signal: 'budget', effect: 'slowed' });
  expect(limiter.why).toBe(
    '1 of 4 connections: the budget of target "shop" is 2 at once, shared with 1 other backfill',
  );
  await Promise.all([a.done(), b.done()]);
  over = true;
  await watching;
  expect(most).toBe(2);
  expect(bothAtOnce).toContain(2);
  for (const table of ['a', 'b'])
    expect(await bench.sql(`SELECT FROM ${table} WHERE new IS DISTINCT FROM old OR writes <> 1`)).toEqual([]);
  expect(await atWork()).toEqual([]);
});

it('a lane whose connection is killed leaves its place to another one at once', async () => {
  const job = slowJob('a', 1);
  const a = run(workers[0], job, 3);
  const results = Promise.allSettled(a.slices);
  const before = await until(
    async () => {
      const lanes = await atWork();
      return lanes.length === 2 ? lanes.map(({ pid }) => pid) : undefined;
    },
    { what: 'two of three lanes at work' },
  );
  await bench.sql('SELECT pg_terminate_backend($1)', [before[0]]);
  await until(
    async () => {
      const lanes = (await atWork()).map(({ pid }) => pid);
      return lanes.length === 2 && lanes.includes(before[1] ?? 0) && !lanes.includes(before[0] ?? 0);
    },
    { what: 'the third lane takes the place', deadlineMs: 5_000 },
  );
  const ended = await results;
  expect(ended.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  await run(workers[1], job, 1).done();
  expect(await bench.sql('SELECT FROM a WHERE new IS DISTINCT FROM old OR writes <> 1')).toEqual([]);
});

it('a connection that goes back to its pool takes no place along', async () => {
  const job = slowJob('a', 0);
  const pace = openPace(workers[0], job, { direction: 'forward', lanes: 1 });
  await runSlice(workers[0], job, { pace, untilMs: 0 });
  await pace.close();
  expect(await atWork()).toEqual([]);
});
