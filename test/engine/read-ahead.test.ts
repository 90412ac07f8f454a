import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Pace } from '../../src/engine/backfill/pace.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { defineTransform, migrated, type Transform } from '../../src/engine/transform/transform.ts';
import { type Bench, countWrites, openBench, runToEnd, transformJob } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

const ROWS = 400;

beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql(
    'CREATE TABLE t (id int PRIMARY KEY, old text, new int, hits int NOT NULL DEFAULT 0, writes int NOT NULL DEFAULT 0)',
  );
  await bench.sql('INSERT INTO t SELECT n, n FROM generate_series(1, $1) n', [ROWS]);
});

const parse = defineTransform({
  name: 'parse',
  version: 1,
  reads: ['old'],
  writes: ['new'],
  transform: ({ old }) => migrated({ new: old }),
});

/** Tells the sizes of the batches that are prepared. */
function sized(): { transform: Transform<'old', 'new'>; sizes: number[] } {
  const sizes: number[] = [];
  const prefetch = async (rows: unknown[]) => void sizes.push(rows.length);
  return { transform: { ...parse, prefetch }, sizes };
}

const ranges = (runId: string) =>
  bench.sql<{ lane: string | null; done: boolean }>(
    'SELECT lane, done FROM cutover.range WHERE run_id = $1',
    [runId],
  );

describe('a lane that reads ahead', () => {
  it('derives each row once when nothing comes in between, in whichever ranges they lie', async () => {
    await countWrites(bench, 't');
    const { transform, sizes } = sized();
    const job = transformJob('t', transform, { batchSize: 30, maxBatchSize: 30 });
    const { done, counts } = await runSlice(bench.target, job, { rowsPerRange: 70 });
    expect({ done, counts }).toMatchObject({ done: true, counts: { processed: ROWS, migrated: ROWS } });
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(ROWS);
    expect(Math.max(...sizes)).toBe(30);
    expect(await bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM id OR writes <> 1')).toEqual([]);
  });

  it('lets go of the range that comes next as well, when it ends or is aborted', async () => {
    const job = transformJob('t', parse, { batchSize: 50 });
    const options = { rowsPerRange: 50, untilMs: 0 };
    await runSlice(bench.target, job, options);
    await runSlice(bench.target, job, options);
    expect((await ranges(job.runId)).filter(({ lane, done }) => lane !== null && !done)).toEqual([]);

    const stop = new AbortController();
    const transform = { ...parse, prefetch: async () => stop.abort(new Error('enough')) };
    const aborted = { ...transformJob('t', transform, { batchSize: 50 }), runId: job.runId };
    await expect(runSlice(bench.target, aborted, { ...options, signal: stop.signal })).rejects.toThrow(
      'enough',
    );
    expect((await ranges(job.runId)).filter(({ lane, done }) => lane !== null && !done)).toEqual([]);
    expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: ROWS });
  });

  it('ends at once when its time is over while something else holds the next batch up', async () => {
    let batches = 0;
    const prefetch = () => {
      batches += 1;
      return batches > 1 ? new Promise<never>(() => {}) : Promise.resolve();
    };
    const job = transformJob('t', { ...parse, prefetch });
    expect(await runSlice(bench.target, job, { untilMs: 0 })).toMatchObject({ processedThisSlice: 10 });
  });

  it('reads a batch anew when much smaller ones are wanted by now', async () => {
    const { transform, sizes } = sized();
    const wanted = [100, 10, 10, 10, 12, 100];
    const pace: Pace = {
      admit: async () => ({ kind: 'go', rows: wanted.shift() ?? 100 }),
      took: () => {},
      timedOut: () => {},
    };
    await runSlice(bench.target, transformJob('t', transform), { pace });
    expect(sizes.slice(0, 6)).toEqual([100, 100, 10, 10, 10, 10]);
  });

  it('tells its pace how many rows a batch really covered', async () => {
    const wanted = [20, 50, 50, 50];
    const took: number[] = [];
    const pace: Pace = {
      admit: async () => ({ kind: 'go', rows: wanted.shift() ?? 100 }),
      took: ({ rows }) => void took.push(rows),
      timedOut: () => {},
    };
    const job = transformJob('t', parse, { where: 'id % 2 = 0' });
    expect(await runSlice(bench.target, job, { pace })).toMatchObject({ counts: { processed: ROWS / 2 } });
    expect(took.slice(0, 4)).toEqual([20, 20, 20, 50]);
  });

  it('takes fewer rows at a time when they are too long to be held', async () => {
    await bench.sql('ALTER TABLE t ADD COLUMN long text');
    await bench.sql(`UPDATE t SET long = repeat('long', 500000) WHERE id <= 80`);
    const { transform, sizes } = sized();
    const reading = { ...transform, reads: ['old', 'long'] as const } as Transform;
    const job = transformJob('t', reading, { batchSize: 100, maxBatchSize: 100 });
    expect(await runToEnd(bench.target, job)).toMatchObject({ processed: ROWS, migrated: ROWS });
    expect(Math.max(...sizes)).toBe(25);
  });

  it.each([
    ['a view', 'CREATE VIEW v AS SELECT * FROM t'],
    [
      'a table that inherits',
      'CREATE TABLE v () INHERITS (t); INSERT INTO v SELECT * FROM ONLY t; TRUNCATE ONLY t',
    ],
  ])('can be done without, or not: %s', async (_, create) => {
    await bench.sql('DROP VIEW IF EXISTS v');
    for (const sql of create.split('; ')) await bench.sql(sql);
    const job = transformJob('v', parse, { key: ['id'] });
    expect(await runToEnd(bench.target, job)).toMatchObject({ processed: ROWS, migrated: ROWS });
    expect(await bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM id')).toEqual([]);
    await bench.sql('DROP TABLE t CASCADE');
  });
});

describe('while the application writes both columns all the time', () => {
  const KINDS = {
    both: (row: number, value: number) => `UPDATE t SET old = ${value}, new = ${value} WHERE id = ${row}`,
    another: (row: number) => `UPDATE t SET hits = hits + 1 WHERE id = ${row}`,
    delete: (row: number) => `DELETE FROM t WHERE id = ${row}`,
    insert: (row: number, value: number) =>
      `INSERT INTO t VALUES (${row}, ${value}, ${value}) ON CONFLICT DO NOTHING`,
  };
  const write = fc.record({
    row: fc.integer({ min: 1, max: ROWS }),
    kind: fc.constantFrom<keyof typeof KINDS>('both', 'both', 'another', 'delete', 'insert'),
  });
  const scenario = fc.record({
    writes: fc.array(write, { minLength: 50, maxLength: 300 }),
    batchSize: fc.integer({ min: 1, max: 60 }),
    lanes: fc.integer({ min: 1, max: 3 }),
  });

  it('nothing of it is lost, or overwritten by what was read before', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ writes, batchSize, lanes }) => {
        await bench.sql('TRUNCATE t');
        await bench.sql('INSERT INTO t SELECT n, n FROM generate_series(1, $1) n', [ROWS]);
        const job = transformJob('t', parse, { batchSize, maxBatchSize: batchSize });
        const application = async () => {
          for (const [i, { row, kind }] of writes.entries()) await bench.sql(KINDS[kind](row, 1_000 + i));
        };
        const work = (lane: number) =>
          runSlice(bench.target, job, {
            rowsPerRange: 60,
            waitMs: 5,
            claimant: { lane: `lane-${lane}`, since: Date.now() },
          });
        await Promise.all([application(), ...Array.from({ length: lanes }, (_, lane) => work(lane))]);
        expect(await bench.sql('SELECT id, old, new FROM t WHERE new::text IS DISTINCT FROM old')).toEqual(
          [],
        );
      }),
      { numRuns: 30, endOnFailure: true },
    );
  }, 120_000);
});
