import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { dryRunBackfill } from '../../src/engine/dry-run/dry-run.ts';
import {
  ambiguous,
  defineTransform,
  failed,
  migrated,
  skipped,
} from '../../src/engine/transform/transform.ts';
import { type Bench, exceptionsOf, jobOf, openBench, phaseOf, runToEnd, transformJob } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql(
    'CREATE TABLE t (id int PRIMARY KEY, old text, new int NOT NULL DEFAULT 0, short varchar(2))',
  );
  await bench.sql('INSERT INTO t SELECT n, n::text FROM generate_series(1, 35) n');
});

/** By the row's id: 1 to 5 of each ten in turn, else migrated. */
const mixed = defineTransform({
  name: 'mixed',
  version: 1,
  reads: ['id', 'old'],
  writes: ['new', 'short'],
  transform: ({ id, old }) => {
    switch (Number(id) % 10) {
      case 1:
        return skipped();
      case 2:
        return ambiguous(`two ways for ${old}`, { new: 1 });
      case 3:
        return failed('refunded');
      case 4:
        return migrated({ new: 'four' });
      case 5:
        return migrated({ new: null });
      case 6:
        return migrated({ short: 'abc' });
      default:
        return migrated({ new: id, short: '' });
    }
  },
});

const mixedSql = {
  kind: 'sql',
  set: {
    new: `CASE id % 10 WHEN 5 THEN NULL WHEN 4 THEN (old || 'x')::int ELSE id END`,
    short: `CASE WHEN id % 10 = 6 THEN 'abc' END`,
  },
} as const;

describe.each([
  ['sql', () => jobOf(phaseOf('t', { transform: mixedSql }))],
  ['typescript', () => transformJob('t', mixed)],
])('a dry run by %s', (_, newJob) => {
  it('writes nothing anywhere, and foretells exactly what the backfill then does', async () => {
    const job = newJob();
    const before = await bench.checksums();
    const report = await dryRunBackfill(bench.target, job);
    expect(await bench.checksums()).toEqual(before);

    expect(await runToEnd(bench.target, job)).toEqual(report.counts);
    const exceptions = await exceptionsOf(bench.target, job);
    const keysOf = (kind: string) =>
      exceptions.filter((row) => row.kind === kind).map((row) => Number(row.key[0]));
    const sorted = (keys: number[]) => keys.sort((a, b) => a - b);
    expect(report.failed.map(({ key }) => Number(key[0]))).toEqual(sorted(keysOf('failed')));
    expect(report.ambiguous.map(({ key }) => Number(key[0]))).toEqual(sorted(keysOf('ambiguous')));
    expect(report).toMatchObject({ nextOffset: 35, hasMore: false });
    expect(report.counts.failed).toBeGreaterThan(0);
  });

  it('goes through the rows page by page', async () => {
    const job = newJob();
    const whole = await dryRunBackfill(bench.target, job);
    let offset = 0;
    const failures: unknown[] = [];
    for (const expected of [12, 12, 11]) {
      const page = await dryRunBackfill(bench.target, job, { batchSize: 7, offset, limit: 12 });
      expect(page.counts.processed).toBe(expected);
      expect(page.hasMore).toBe(expected === 12);
      failures.push(...page.failed);
      offset = page.nextOffset;
    }
    expect(failures).toEqual(whole.failed);
    expect(await dryRunBackfill(bench.target, job, { offset })).toMatchObject({
      counts: { processed: 0 },
      nextOffset: 35,
      hasMore: false,
    });
  });

  it('stops when it is aborted', async () => {
    const stop = new AbortController();
    const run = dryRunBackfill(bench.target, newJob(), {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('enough')),
    });
    await expect(run).rejects.toThrow('enough');
  });
});

describe('a dry run', () => {
  it('shows rows before and after', async () => {
    const { samples } = await dryRunBackfill(bench.target, transformJob('t', mixed), { offset: 6 });
    expect(samples).toHaveLength(5);
    expect(samples[0]).toEqual({ key: ['7'], before: { id: 7, old: '7' }, after: { new: 7, short: '' } });
    const bySql = await dryRunBackfill(bench.target, jobOf(phaseOf('t', { transform: mixedSql })));
    expect(bySql.samples[0]).toEqual({
      key: ['1'],
      before: { new: 0, short: null },
      after: { new: 1, short: null },
    });
  });

  it('stands in for columns that the plan adds first', async () => {
    const given = { columns: { canonical: 'jsonb', amount: 'numeric(4,2)' }, where: 'canonical IS NULL' };
    const set = { canonical: `jsonb_build_object('old', t.old)`, amount: 'id * 4' };
    const bySql = await dryRunBackfill(
      bench.target,
      jobOf(phaseOf('t', { transform: { kind: 'sql', set }, ...given })),
    );
    expect(bySql.counts).toMatchObject({ processed: 35, migrated: 24, failed: 11 });
    expect(bySql.failed[0]).toMatchObject({ key: ['25'], sqlstate: '22003' });
    expect(bySql.samples[0]).toMatchObject({
      before: { canonical: null, amount: null },
      after: { canonical: { old: '1' }, amount: '4.00' },
    });
    const transform = defineTransform({
      name: 'canonical',
      version: 1,
      reads: ['id', 'canonical'],
      writes: ['canonical', 'amount'],
      transform: ({ id, canonical }) => migrated({ canonical: { was: canonical }, amount: Number(id) * 4 }),
    });
    const byTransform = await dryRunBackfill(bench.target, transformJob('t', transform, given));
    expect(byTransform.counts).toEqual(bySql.counts);
    expect(byTransform.samples[0]?.after).toEqual({ canonical: { was: null }, amount: '4.00' });
    await expect(dryRunBackfill(bench.target, transformJob('t', transform))).rejects.toThrow(
      'no column "amount"',
    );
  });

  it('counts rows on which the condition fails, and says so when they are in the way of an offset', async () => {
    await bench.sql(`UPDATE t SET old = 'x' WHERE id = 12`);
    const job = jobOf(
      phaseOf('t', { transform: { kind: 'sql', set: { new: 'id' } }, where: 'old::int % 2 = 0' }),
    );
    const report = await dryRunBackfill(bench.target, job, { batchSize: 10 });
    expect(report.counts).toMatchObject({ processed: 17, migrated: 16, failed: 1 });
    expect(report.failed).toMatchObject([{ key: ['12'] }]);
    await expect(dryRunBackfill(bench.target, job, { offset: 10 })).rejects.toThrow('cannot be passed over');
  });

  it('of an empty table finds nothing', async () => {
    await bench.sql('TRUNCATE t');
    expect(await dryRunBackfill(bench.target, transformJob('t', mixed))).toMatchObject({
      counts: { processed: 0 },
      samples: [],
      nextOffset: 0,
      hasMore: false,
    });
  });

  it('does not disturb a backfill that is under way', async () => {
    const job = jobOf(phaseOf('t', { transform: { kind: 'sql', set: { new: 'id' } } }));
    await runSlice(bench.target, job, { untilMs: 0 });
    const before = await bench.checksums();
    await dryRunBackfill(bench.target, job);
    expect(await bench.checksums()).toEqual(before);
    expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: 35 });
  });
});

describe('a dry run of a large table', () => {
  const ROWS = 60_000;
  beforeEach(async () => {
    await bench.sql('DROP TABLE t');
    await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int, pad text)');
    // Rows that were written together are alike: each thousandth stretch of them fails.
    await bench.sql(
      `INSERT INTO t SELECT n, CASE WHEN n % 2000 < 100 THEN 'x' ELSE n::text END, NULL, repeat('p', 200)
         FROM generate_series(1, ${ROWS}) n`,
    );
    await bench.sql('ANALYZE t');
  });

  const cast = (given = {}) =>
    jobOf(phaseOf('t', { transform: { kind: 'sql', set: { new: 'old::int' } }, ...given }));

  it('by a sample looks at rows from all over it, and says between what numbers all of them are', async () => {
    const report = await dryRunBackfill(bench.target, cast(), { sample: { rows: 6000 } });
    // Rows from all over the table have none that comes next.
    expect(report.nextOffset).toBe(0);
    const { sample, counts } = report;
    expect(sample).toMatchObject({ drawn: counts.processed, of: ROWS });
    expect(counts.processed).toBeGreaterThan(4500);
    expect(counts.processed).toBeLessThan(7500);
    const truth = { processed: ROWS, migrated: ROWS * 0.95, failed: ROWS * 0.05 };
    for (const outcome of ['processed', 'migrated', 'failed'] as const) {
      const { low, high } = sample?.expected[outcome] ?? { low: 0, high: 0 };
      // Rows of one page are not independent, so that the truth may lie a little outside.
      expect(truth[outcome]).toBeGreaterThan(low * 0.7);
      expect(truth[outcome]).toBeLessThan(high * 1.4);
    }
    const last = await dryRunBackfill(bench.target, cast({ where: `id > ${(ROWS * 2) / 3}` }), {
      sample: { rows: 6000 },
    });
    const share = last.counts.processed / (last.sample?.drawn ?? 0);
    expect(share).toBeGreaterThan(0.25);
    expect(share).toBeLessThan(0.42);
  });

  it('by a share of it, and by more rows than there are, works as well', async () => {
    const { sample } = await dryRunBackfill(bench.target, cast(), { sample: { percent: 5 } });
    expect(sample?.drawn).toBeGreaterThan(ROWS * 0.03);
    expect(sample?.drawn).toBeLessThan(ROWS * 0.07);
    const whole = await dryRunBackfill(bench.target, cast({ where: 'id <= 500' }), {
      sample: { rows: ROWS * 2 },
    });
    expect(whole.sample).toBeUndefined();
    expect(whole.counts.processed).toBe(500);
  });

  it('by a sample counts the rows that a condition leaves out, and sets aside those on which it fails', async () => {
    const report = await dryRunBackfill(bench.target, cast({ where: 'old::int % 2 = 0' }), {
      sample: { rows: 3000 },
    });
    expect(report.counts.migrated / (report.sample?.drawn ?? 0)).toBeGreaterThan(0.4);
    expect(report.counts.migrated / (report.sample?.drawn ?? 0)).toBeLessThan(0.55);
    expect(report.counts.failed).toBeGreaterThan(0);
    expect(report.sample?.expected.migrated.high).toBeGreaterThan(ROWS * 0.475);
  });

  it('takes few steps, however small its batches and however few rows meet the condition', async () => {
    let steps = 0;
    const onProgress = () => {
      steps += 1;
    };
    const nothing = cast({ where: 'old IS NULL', batchSize: 1 });
    const none = await dryRunBackfill(bench.target, nothing, { onProgress });
    expect(none.counts.processed).toBe(0);
    expect(steps).toBeLessThan(30);
    steps = 0;
    const all = await dryRunBackfill(bench.target, cast({ batchSize: 1, where: `old <> 'x'` }), {
      onProgress,
    });
    expect(all.counts.processed).toBe(ROWS * 0.95);
    expect(steps).toBeLessThan(200);
  });
});
