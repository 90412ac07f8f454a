import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Pace } from '../../src/engine/backfill/pace.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { defineTransform, migrated, type Transform } from '../../src/engine/transform/transform.ts';
import { loadTable } from '../../src/targets/postgres/backfill/load-table.ts';
import { TextArray } from '../../src/targets/postgres/backfill/text-array.ts';
import { lockUnchanged } from '../../src/targets/postgres/backfill/write-batch.ts';
import type { Session } from '../../src/targets/target.ts';
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
    // Nor are they read all at once to find the one at fault.
    await bench.sql(`UPDATE t SET old = 'no number' WHERE id = 3`);
    const { transform, sizes } = sized();
    const reading = { ...transform, reads: ['old', 'long'] as const } as Transform;
    const job = transformJob('t', reading, { batchSize: 100, maxBatchSize: 100 });
    expect(await runToEnd(bench.target, job)).toMatchObject({
      processed: ROWS,
      migrated: ROWS - 1,
      failed: 1,
    });
    expect(Math.max(...sizes.slice(0, 3))).toBe(25);
    // And more again where rows are short.
    expect(Math.max(...sizes)).toBe(100);
  });

  it('claims no range while it stands by, whatever it was reading', async () => {
    await bench.sql('DELETE FROM t WHERE id > 30');
    const { transform, sizes } = sized();
    // Two ranges; the rest of the first one is shorter than a batch, and read slowly.
    const where = 'id <= 10 OR pg_sleep(0.02) IS NOT NULL';
    const job = transformJob('t', transform, { where, batchSize: 10, maxBatchSize: 10 });
    const claimed: number[] = [];
    let readFor = 0;
    const stop = new AbortController();
    const pace: Pace = {
      admit: async () => {
        if (sizes.length === 0) return { kind: 'go', rows: 10 };
        claimed.push((await ranges(job.runId)).filter(({ lane, done }) => lane !== null && !done).length);
        if (sizes.length > 1) readFor += 1;
        if (readFor > 20) stop.abort(new Error('seen enough'));
        return { kind: 'stand-by', why: 'the load is high' };
      },
      took: () => {},
      timedOut: () => {},
    };
    const options = { rowsPerRange: 15, pace, waitMs: 10, signal: stop.signal };
    await expect(runSlice(bench.target, job, options)).rejects.toThrow('seen enough');
    expect(claimed[0]).toBe(1);
    expect(Math.max(...claimed.slice(1))).toBe(0);
  });

  it('reads NULLs of a column that is NOT NULL, as long as that is not validated', async () => {
    await bench.sql('ALTER TABLE t ADD COLUMN town text, ADD CONSTRAINT known NOT NULL town NOT VALID');
    const name = defineTransform({
      name: 'towns',
      version: 1,
      reads: ['old', 'town'],
      writes: ['town'],
      transform: ({ old, town }) => migrated({ town: town ?? `T${old}` }),
    });
    const job = transformJob('t', name);
    expect(await runToEnd(bench.target, job)).toMatchObject({ processed: ROWS, migrated: ROWS });
    await bench.sql('ALTER TABLE t VALIDATE CONSTRAINT known');
  });

  it('looks rows that it leaves alone up among those of its batch, not in the whole table', async () => {
    await bench.sql(`INSERT INTO t SELECT n, repeat('x', 300) FROM generate_series($1 + 1, 100000) n`, [
      ROWS,
    ]);
    await bench.sql('ANALYZE t');
    const keys = Array.from({ length: 10_000 }, (_, i) => String(i + 1));
    const rows = {
      count: keys.length,
      keys: [TextArray.of(keys)],
      versions: TextArray.of(keys.map(() => '7')),
    };
    const plan: string[] = [];
    await bench.target.transaction({}, async (session) => {
      const query: Session['query'] = async (text, values) => {
        const explained = await session.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`, values);
        plan.push(...explained.rows.map((row) => row['QUERY PLAN']));
        return { ...explained, rows: [] };
      };
      const table = await loadTable(session, { table: 't', columns: {} });
      await lockUnchanged({ query }, table, rows, { upTo: ['10000'] });
    });
    expect(plan.join('\n')).toContain('t_pkey');
    expect(plan.join('\n')).not.toContain('Seq Scan on t');
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
