import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RowCounts } from '../../src/domain/counts.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { dryRunBackfill } from '../../src/engine/dry-run/dry-run.ts';
import type { BackfillJob } from '../../src/engine/job.ts';
import {
  ambiguous,
  defineTransform,
  failed,
  migrated,
  skipped,
} from '../../src/engine/transform/transform.ts';
import {
  type Bench,
  countWrites,
  exceptionsOf,
  jobOf,
  openBench,
  phaseOf,
  transformJob,
  undoToEnd,
} from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

/** What the row's `old` asks for. */
const KINDS = ['number', 'poison', 'throws', 'skipped', 'ambiguous', 'failed', 'elsewhere'] as const;

const obey = defineTransform({
  name: 'obey',
  version: 1,
  reads: ['old'],
  writes: ['new'],
  transform: ({ old }) => {
    switch (old) {
      case 'throws':
        throw new Error('thrown');
      case 'skipped':
        return skipped();
      case 'ambiguous':
        return ambiguous('unclear');
      case 'failed':
        return failed('refused');
      case 'number':
        return migrated({ new: 42 });
      default:
        return migrated({ new: old });
    }
  },
});

const WHERE = `old <> 'elsewhere'`;
const scenario = fc.record({
  rows: fc.uniqueArray(
    fc.record({ id: fc.integer({ min: -1000, max: 1000 }), kind: fc.constantFrom(...KINDS) }),
    { selector: ({ id }) => id, maxLength: 40 },
  ),
  batchSize: fc.integer({ min: 1, max: 12 }),
  typescript: fc.boolean(),
  /** After how many milliseconds each of the first slices is aborted. */
  aborts: fc.array(fc.integer({ min: 0, max: 25 }), { maxLength: 4 }),
});

/** Slices that are aborted at any point, then one that may finish. */
async function runWithAborts(job: BackfillJob, aborts: readonly number[]): Promise<RowCounts> {
  for (const ms of aborts) {
    await runSlice(bench.target, job, { signal: AbortSignal.timeout(ms) }).catch((error: unknown) => {
      if (!(error instanceof Error && error.name === 'TimeoutError')) throw error;
    });
  }
  return (await runSlice(bench.target, job)).counts;
}

it('whatever the rows, batch sizes and interruptions: each row is dealt with once, and undone exactly', async () => {
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int, writes int NOT NULL DEFAULT 0)');
  await countWrites(bench, 't');
  await fc.assert(
    fc.asyncProperty(scenario, async ({ rows, batchSize, typescript, aborts }) => {
      await bench.sql('TRUNCATE t');
      await bench.sql('INSERT INTO t (id, old) SELECT * FROM unnest($1::int[], $2::text[])', [
        rows.map(({ id }) => id),
        rows.map(({ kind }) => kind),
      ]);
      const before = await bench.sql('SELECT id, old, new FROM t ORDER BY id');
      const given = { batchSize, where: WHERE };
      const set = { new: `CASE old WHEN 'number' THEN 42 ELSE old::int END` };
      const job = typescript
        ? transformJob('t', obey, given)
        : jobOf(phaseOf('t', { ...given, transform: { kind: 'sql', set } }));
      const keysOf = (...kinds: string[]) =>
        rows
          .filter(({ kind }) => kinds.includes(kind))
          .map(({ id }) => id)
          .sort((a, b) => a - b);
      const failing = typescript
        ? keysOf('poison', 'throws', 'failed')
        : keysOf('poison', 'throws', 'failed', 'skipped', 'ambiguous');
      const unclear = typescript ? keysOf('ambiguous') : [];
      const left = typescript ? keysOf('skipped') : [];
      const expected = {
        processed: rows.length - keysOf('elsewhere').length,
        migrated: keysOf('number').length,
        skipped: left.length,
        ambiguous: unclear.length,
        failed: failing.length,
      };

      expect((await dryRunBackfill(bench.target, job)).counts).toEqual(expected);
      expect(await runWithAborts(job, aborts)).toEqual(expected);
      const exceptions = await exceptionsOf(bench.target, job);
      const listed = (kind: string) =>
        exceptions
          .filter((row) => row.kind === kind)
          .map((row) => Number(row.key[0]))
          .sort((a, b) => a - b);
      expect(listed('failed')).toEqual(failing);
      expect(listed('ambiguous')).toEqual(unclear);
      expect(
        await bench.sql('SELECT id, new, writes FROM t WHERE new IS NOT NULL OR writes > 0 ORDER BY id'),
      ).toEqual(keysOf('number').map((id) => ({ id, new: 42, writes: 1 })));

      expect(await undoToEnd(bench.target, job)).toMatchObject({
        done: true,
        restored: expected.migrated,
        kept: 0,
      });
      expect(await bench.sql('SELECT id, old, new FROM t ORDER BY id')).toEqual(before);
    }),
    { numRuns: 25 },
  );
});
