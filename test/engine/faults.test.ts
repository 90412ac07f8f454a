import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackfillPhase } from '../../src/domain/plan.ts';
import { readCheckpoint } from '../../src/engine/backfill/records.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import type { BackfillJob } from '../../src/engine/job.ts';
import { ambiguous, defineTransform, migrated, skipped } from '../../src/engine/transform/transform.ts';
import { undoSlice } from '../../src/engine/undo/undo.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import type { Target } from '../../src/targets/target.ts';
import { attempt, FAULTS, type Fault, faultyTarget, schedule } from './faults.ts';
import { type Bench, countWrites, exceptionsOf, jobOf, openBench, phaseOf, transformJob } from './harness.ts';

let bench: Bench;
let workers: Target;
beforeAll(async () => {
  bench = await openBench();
  workers = createPostgresTarget({ name: 'workers', url: bench.url, poolSize: 8 });
  await bench.sql(
    'CREATE TABLE t (a int, b text, old text, new int, note int, writes int NOT NULL DEFAULT 0, PRIMARY KEY (a, b))',
  );
  await countWrites(bench, 't');
});
afterAll(async () => {
  await workers.close();
  await bench.close();
});

const derive = defineTransform({
  name: 'faults',
  version: 1,
  reads: ['old'],
  writes: ['new'],
  transform: ({ old }) => {
    if (old === 'unclear') return ambiguous('nobody knows', { new: 1 });
    if (old === 'empty') return skipped('nothing in it');
    return migrated({ new: old });
  },
});

const KINDS = ['number', 'number', 'number', 'poison', 'unclear', 'empty'] as const;
const scenario = fc.record({
  rows: fc.array(fc.constantFrom(...KINDS), { minLength: 1, maxLength: 150 }),
  typescript: fc.boolean(),
  batchSize: fc.integer({ min: 1, max: 60 }),
  rowsPerRange: fc.integer({ min: 5, max: 80 }),
  /** Lanes at work, from one round of slices to the next. */
  lanes: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
  /** Before which statements what happens; as many statements pass in between. */
  faults: fc.array(
    fc.record({ after: fc.integer({ min: 0, max: 40 }), fault: fc.constantFrom<Fault>(...FAULTS) }),
    { maxLength: 25 },
  ),
  appWrites: fc.array(fc.nat({ max: 149 }), { maxLength: 60 }),
});

let started = 0;
async function runToEnd(
  target: Target,
  job: BackfillJob,
  lanes: readonly number[],
  rowsPerRange: number,
): Promise<void> {
  for (let round = 0; ; round += 1) {
    const atWork = lanes[round % lanes.length] ?? 1;
    const ends = await Promise.all(
      Array.from({ length: atWork }, (_, lane) => {
        started += 1;
        const claimant = { lane: `lane-${lane}`, since: started };
        return attempt(() => runSlice(target, job, { claimant, rowsPerRange, untilMs: 30, waitMs: 5 }));
      }),
    );
    if (ends.some(Boolean)) return;
  }
}

/** Short transactions that hold two rows at a time, in any order; a deadlock is theirs to try again. */
async function application(writes: readonly number[], rows: number): Promise<void> {
  for (const [i, at] of writes.entries()) {
    const touch = (row: number) => `UPDATE t SET note = ${i} WHERE a = ${row % 7} AND b = 'row ${row}'`;
    await bench.sql(`BEGIN; ${touch(at % rows)}; ${touch((at * 31) % rows)}; COMMIT`).catch(() => undefined);
  }
}

async function fill(rows: readonly string[]): Promise<void> {
  await bench.sql('TRUNCATE t');
  await bench.sql(
    `INSERT INTO t (a, b, old, note)
     SELECT (n - 1) % 7, 'row ' || n - 1, CASE kind WHEN 'number' THEN n::text ELSE kind END, 0
       FROM unnest($1::text[]) WITH ORDINALITY AS given(kind, n)`,
    [rows],
  );
}

describe('whatever happens to workers, at whichever statement, while the application writes', () => {
  it('each row is dealt with once, the counts add up, and undo brings every row back', async () => {
    await fc.assert(
      fc.asyncProperty(
        scenario,
        async ({ rows, typescript, batchSize, rowsPerRange, lanes, faults, appWrites }) => {
          await fill(rows);
          const before = await bench.sql('SELECT a, b, old, new FROM t ORDER BY a, b');
          const given: Partial<BackfillPhase> = { batchSize, maxBatchSize: batchSize };
          const set = { new: 'old::int' };
          const job = typescript
            ? transformJob('t', derive, given)
            : jobOf(phaseOf('t', { ...given, transform: { kind: 'sql', set } }));
          const next = schedule(faults);
          const target = faultyTarget(workers, bench, next);
          await Promise.all([
            runToEnd(target, job, lanes, rowsPerRange),
            application(appWrites, rows.length),
          ]);

          const counted = (kind: string) => rows.filter((row) => row === kind).length;
          const unclear = typescript ? counted('unclear') : 0;
          const empty = typescript ? counted('empty') : 0;
          const numbers = counted('number');
          const checkpoint = await readCheckpoint(bench.target, job.runId, 'fill');
          expect(checkpoint).toMatchObject({
            done: true,
            counts: {
              processed: rows.length,
              migrated: numbers,
              skipped: empty,
              ambiguous: unclear,
              failed: rows.length - numbers - empty - unclear,
            },
          });
          const exceptions = await exceptionsOf(bench.target, job);
          const failing = typescript ? ['poison'] : ['poison', 'unclear', 'empty'];
          expect(
            new Set(exceptions.filter(({ kind }) => kind === 'failed').map(({ key }) => key[1])),
          ).toEqual(new Set(rows.flatMap((kind, row) => (failing.includes(kind) ? [`row ${row}`] : []))));
          const wrong = await bench.sql(
            `SELECT a, b, old, new, note, writes FROM t
            WHERE new::text IS DISTINCT FROM CASE WHEN old ~ '^[0-9]+$' THEN old END`,
          );
          expect(wrong).toEqual([]);

          const undone = faultyTarget(workers, bench, schedule(faults));
          while (!(await attempt(() => undoSlice(undone, job, { untilMs: 30 }))));
          expect(await readCheckpoint(bench.target, job.runId, 'fill')).toMatchObject({
            restored: numbers,
            kept: 0,
          });
          expect(await bench.sql('SELECT a, b, old, new FROM t ORDER BY a, b')).toEqual(before);
        },
      ),
      { numRuns: 60, endOnFailure: true },
    );
  }, 120_000);
});
