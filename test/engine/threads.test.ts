import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { dryRunBackfill } from '../../src/engine/dry-run/dry-run.ts';
import type { BackfillJob } from '../../src/engine/job.ts';
import { defineTransform, migrated, type TransformRegistry } from '../../src/engine/transform/transform.ts';
import { loadTransforms } from '../../src/worker/transforms.ts';
import { type Bench, exceptionsOf, jobOf, openBench, phaseOf, runToEnd, transformJob } from './harness.ts';

const MODULE = fileURLToPath(new URL('../fixtures/unruly-transforms.ts', import.meta.url));

let bench: Bench;
let transforms: TransformRegistry;
beforeAll(async () => {
  bench = await openBench();
  transforms = await loadTransforms([MODULE], { rowMs: 700 });
});
afterAll(async () => {
  await transforms.close();
  await bench.close();
});

beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t, names');
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int, name text)');
  await bench.sql('INSERT INTO t SELECT n, n FROM generate_series(1, 60) n');
  await bench.sql(`CREATE TABLE names AS SELECT n AS id, 'name ' || n AS name FROM generate_series(1, 60) n`);
});

function threaded(name: string, given: Parameters<typeof phaseOf>[1] = {}): BackfillJob {
  const transform = { kind: 'registered', name, version: 1, threads: 2 } as const;
  return { ...jobOf(phaseOf('t', { batchSize: 20, maxBatchSize: 20, transform, ...given })), transforms };
}

describe('a transform that runs in threads', () => {
  it('migrates as on the main thread, on several lanes, with what its prefetch fetches', async () => {
    const job = threaded('named');
    const work = (lane: number) =>
      runSlice(bench.target, job, {
        rowsPerRange: 20,
        waitMs: 5,
        claimant: { lane: `lane-${lane}`, since: Date.now() },
      });
    const [result] = await Promise.all([0, 1, 2].map(work));
    expect(result).toMatchObject({ done: true, counts: { processed: 60, migrated: 60 } });
    expect(await bench.sql(`SELECT FROM t WHERE name IS DISTINCT FROM 'name ' || id || ' of 60'`)).toEqual(
      [],
    );
  });

  it('fails just the rows at which it throws, never ends, ends its thread or returns something wrong', async () => {
    const odd = { 3: 'throw', 14: 'loop', 25: 'exit', 36: 'shape', 47: 'skip', 58: 'unclear' };
    for (const [id, old] of Object.entries(odd)) {
      await bench.sql('UPDATE t SET old = $2 WHERE id = $1', [id, old]);
    }
    const job = threaded('obey');
    expect(await runToEnd(bench.target, job)).toEqual({
      processed: 60,
      migrated: 54,
      skipped: 1,
      ambiguous: 1,
      failed: 4,
    });
    const exceptions = await exceptionsOf(bench.target, job);
    expect(exceptions.map(({ key, kind, reason }) => [key[0], kind, reason])).toEqual([
      ['3', 'failed', 'the transform threw: too far'],
      ['14', 'failed', 'the transform ran longer than 0.7 s'],
      ['25', 'failed', 'the transform ended the thread that it ran in: exit code 7'],
      ['36', 'failed', expect.stringContaining('the transform returned a number')],
      ['58', 'ambiguous', 'which one?'],
    ]);
    expect(await bench.sql(`SELECT FROM t WHERE old ~ '^\\d+$' AND new::text IS DISTINCT FROM old`)).toEqual(
      [],
    );
  });

  it('looks for rows that the database refuses, under lock, in its threads as well', async () => {
    await bench.sql(`UPDATE t SET old = CASE id WHEN 7 THEN 'loop' ELSE 'no number' END WHERE id IN (7, 8)`);
    const job = threaded('obey');
    expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: 58, failed: 2 });
    const exceptions = await exceptionsOf(bench.target, job);
    expect(new Map(exceptions.map(({ key, reason }) => [key[0], reason]))).toEqual(
      new Map([
        ['7', 'the transform ran longer than 0.7 s'],
        ['8', expect.stringContaining('invalid input syntax')],
      ]),
    );
  });

  it('may loop in a dry run without blocking anybody', async () => {
    await bench.sql(`UPDATE t SET old = 'loop' WHERE id = 7`);
    const { counts, failed } = await dryRunBackfill(bench.target, threaded('obey'));
    expect(counts).toMatchObject({ migrated: 59, failed: 1 });
    expect(failed).toMatchObject([{ key: ['7'], reason: 'the transform ran longer than 0.7 s' }]);
  });

  it.each([
    [
      'failing',
      'the prefetch of transform failing@1 failed: cannot execute DELETE in a read-only transaction',
    ],
    ['endless', 'the prefetch of transform endless@1 blocked its thread for longer than 0.7 s'],
    ['stray', 'the transform stray@1 ends the threads that it runs in'],
  ])('fails the batch with its prefetch: %s', async (name, message) => {
    await expect(runToEnd(bench.target, threaded(name))).rejects.toThrow(message);
    expect(await bench.sql('SELECT FROM names')).toHaveLength(60);
    expect(await bench.sql('SELECT FROM t WHERE new IS NOT NULL')).toEqual([]);
  });

  it('ends at once when it is aborted, however it hangs', async () => {
    await bench.sql(`UPDATE t SET old = 'loop' WHERE id = 1`);
    const patient = await loadTransforms([MODULE]);
    const job = { ...threaded('obey'), transforms: patient };
    const stop = new AbortController();
    const slice = runSlice(bench.target, job, { signal: stop.signal });
    setTimeout(() => stop.abort(new Error('paused')), 300);
    await expect(slice).rejects.toThrow('paused');
    await patient.close();
  });

  it('says so when the transforms cannot be imported anew, or are not there', async () => {
    const transform = defineTransform({
      name: 'here',
      version: 1,
      reads: [],
      writes: ['new'],
      transform: () => migrated({ new: 1 }),
    });
    const inProcess = transformJob('t', transform, {
      transform: { kind: 'registered', name: 'here', version: 1, threads: 1 },
    });
    await expect(runSlice(bench.target, inProcess)).rejects.toThrow('name those in CUTOVER_TRANSFORMS');
    const elsewhere = await loadTransforms([MODULE]);
    elsewhere.register(transform);
    await expect(runSlice(bench.target, { ...inProcess, transforms: elsewhere })).rejects.toThrow(
      'cannot be run in a thread: this worker has no transform here@1',
    );
    await elsewhere.close();
  });
});
