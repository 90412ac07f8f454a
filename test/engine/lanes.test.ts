import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openBackfill } from '../../src/engine/backfill/open.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { until } from '../support/until.ts';
import { type Bench, countWrites, exceptionsOf, jobOf, openBench, phaseOf, undoToEnd } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

/** Works with so many lanes at once, each under its own name. */
function runLanes(
  job: ReturnType<typeof jobOf>,
  lanes: number,
  options: Parameters<typeof runSlice>[2] = {},
) {
  return Promise.all(
    Array.from({ length: lanes }, (_, i) =>
      runSlice(bench.target, job, {
        rowsPerRange: 50,
        ...options,
        claimant: { lane: `lane-${i}`, since: Date.now() },
      }),
    ),
  );
}

const rangesOf = (runId: string) =>
  bench.sql<{ number: number; rows: number; lane: string }>(
    'SELECT number, processed::int AS rows, lane FROM cutover.range WHERE run_id = $1 ORDER BY number',
    [runId],
  );

describe.each([
  ['numbers with gaps', 'id bigint PRIMARY KEY', 'n * n * 7'],
  ['uuids', 'id uuid PRIMARY KEY', 'md5(n::text)::uuid'],
  ['texts', 'id text PRIMARY KEY', `repeat('ä', n % 5) || md5(n::text)`],
  ['times', 'id timestamptz PRIMARY KEY', `now() + n * interval '17 microseconds'`],
])('a backfill by %s', (_, column, key) => {
  beforeEach(async () => {
    await bench.sql('DROP TABLE IF EXISTS t');
    await bench.sql(`CREATE TABLE t (${column}, old text, new text, writes int NOT NULL DEFAULT 0)`);
    await bench.sql(`INSERT INTO t SELECT ${key}, n::text FROM generate_series(1, 3000) AS n`);
    await countWrites(bench, 't');
  });

  it('on four lanes deals with each row once, in ranges of about the same size', async () => {
    const job = jobOf(phaseOf('t', { batchSize: 7 }));
    const results = await runLanes(job, 4);
    expect(results[0]).toMatchObject({ done: true, counts: { processed: 3000, migrated: 3000 } });
    expect(results.reduce((sum, { processedThisSlice }) => sum + processedThisSlice, 0)).toBe(3000);
    expect(await bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM old OR writes <> 1')).toEqual([]);
    const ranges = await rangesOf(job.runId);
    expect(ranges).toHaveLength(60);
    expect(Math.max(...ranges.map(({ rows }) => rows))).toBeLessThanOrEqual(60);
    expect(await undoToEnd(bench.target, job)).toEqual({ done: true, restored: 3000, kept: 0, rows: 3000 });
    expect(await bench.sql('SELECT FROM t WHERE new IS NOT NULL')).toEqual([]);
  });
});

describe('ranges', () => {
  beforeEach(async () => {
    await bench.sql('DROP TABLE IF EXISTS t');
    await bench.sql(
      'CREATE TABLE t (a int, b text, old text, new varchar(8), writes int NOT NULL DEFAULT 0, PRIMARY KEY (a, b))',
    );
    await bench.sql(`INSERT INTO t SELECT n % 3, md5(n::text), n::text FROM generate_series(1, 2000) AS n`);
    await countWrites(bench, 't');
  });

  it('go to more lanes, or fewer, from slice to slice, and no row is skipped or doubled', async () => {
    const job = jobOf(phaseOf('t', { batchSize: 10 }));
    for (let lanes = 1; ; lanes = (lanes % 5) + 1) {
      const [first] = await runLanes(job, lanes, { untilMs: 10 });
      if (first?.done) break;
    }
    expect(await bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM old OR writes <> 1')).toEqual([]);
  });

  it('keep failing rows apart, whichever lane meets them', async () => {
    await bench.sql(`UPDATE t SET old = 'much too long', writes = 0 WHERE old::int % 100 = 0`);
    const job = jobOf(phaseOf('t', { batchSize: 100 }));
    const [result] = await runLanes(job, 3);
    expect(result?.counts).toMatchObject({ processed: 2000, migrated: 1980, failed: 20 });
    expect(await exceptionsOf(bench.target, job)).toHaveLength(20);
  });

  it('that a killed lane held come free for the others when its lease runs out, and for itself at once', async () => {
    const job = jobOf(phaseOf('t', { batchSize: 10 }));
    await runLanes(job, 1, { untilMs: 0 });
    await bench.sql(
      `UPDATE cutover.range SET lane = 'killed', lane_since = 1, claimed_until = now() + interval '1 hour' WHERE run_id = $1 AND number = 3`,
      [job.runId],
    );
    const waiting = runLanes(job, 2);
    const left = () => bench.sql('SELECT FROM cutover.range WHERE run_id = $1 AND NOT done', [job.runId]);
    await until(async () => (await left()).length === 1, {
      what: 'all but the killed lane’s range are done',
    });
    const killed = { lane: 'killed', since: 2 };
    await runSlice(bench.target, job, { rowsPerRange: 50, claimant: killed });
    expect((await waiting)[0]).toMatchObject({ done: true, counts: { migrated: 2000 } });
    expect(await bench.sql('SELECT FROM t WHERE writes <> 1')).toEqual([]);
  });

  it('shrink their batches when one runs into its statement timeout, and say so when a single row does', async () => {
    const slow = (ms: string) => `CASE WHEN pg_sleep(${ms}) IS NULL THEN NULL ELSE old END`;
    const job = jobOf(
      phaseOf('t', { batchSize: 64, transform: { kind: 'sql', set: { new: slow('0.002') } } }),
    );
    await openBackfill(bench.target, job, { rowsPerRange: 50 });
    const [result] = await runLanes(job, 2, { statementTimeoutMs: 60, untilMs: 400 });
    expect(result?.counts.processed).toBeGreaterThan(0);
    expect(result?.counts.failed).toBe(0);
    const stuck = jobOf(phaseOf('t', { batchSize: 4, transform: { kind: 'sql', set: { new: slow('5') } } }));
    await openBackfill(bench.target, stuck, { rowsPerRange: 50 });
    await expect(runLanes(stuck, 1, { statementTimeoutMs: 20 })).rejects.toMatchObject({
      name: 'BatchNeverEnds',
      message: expect.stringContaining('statement timeout of 0.02 s'),
    });
  });
});
