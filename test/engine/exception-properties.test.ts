import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ExceptionDecision, ExceptionFilter } from '../../src/domain/row-exception.ts';
import { readCheckpoint } from '../../src/engine/backfill/records.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { decideExceptions } from '../../src/engine/exceptions/decide.ts';
import type { BackfillJob } from '../../src/engine/job.ts';
import {
  ambiguous,
  defineTransform,
  failed,
  migrated,
  skipped,
} from '../../src/engine/transform/transform.ts';
import { undoRows } from '../../src/engine/undo/undo-rows.ts';
import { uniqueName } from '../support/unique-name.ts';
import { attempt, FAULTS, type Fault, faultyTarget, schedule } from './faults.ts';
import {
  type Bench,
  countWrites,
  exceptionsOf,
  openBench,
  runToEnd,
  transformJob,
  undoToEnd,
} from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
  await bench.sql(
    'CREATE TABLE t (id int PRIMARY KEY, old text NOT NULL, new int, writes int NOT NULL DEFAULT 0)',
  );
  await countWrites(bench, 't');
});
afterAll(() => bench.close());

const KINDS = ['number', 'poison', 'failed', 'skipped', 'ambiguous', 'suggested'] as const;

const obey = defineTransform({
  name: 'obey',
  version: 1,
  reads: ['id', 'old'],
  writes: ['new'],
  transform: ({ id, old }) => {
    switch (old) {
      case 'number':
        return migrated({ new: id });
      case 'skipped':
        return skipped();
      case 'ambiguous':
        return ambiguous('unclear');
      case 'suggested':
        return ambiguous('nearly clear', { new: -Number(id) });
      case 'failed':
        return failed('refused');
      default:
        return migrated({ new: old });
    }
  },
});

const id = fc.integer({ min: 1, max: 30 });
const kind = fc.constantFrom(...KINDS);
const operation = fc.oneof(
  fc.record({ do: fc.constant('replay' as const) }),
  fc.record({ do: fc.constant('replay one' as const), id }),
  fc.record({ do: fc.constant('accept' as const) }),
  fc.record({ do: fc.constant('resolve' as const), id, value: fc.integer({ min: 100, max: 200 }) }),
  fc.record({
    do: fc.constant('skip' as const),
    reason: fc.constantFrom('unclear', 'nearly clear', 'refused'),
  }),
  fc.record({ do: fc.constant('change' as const), id, kind }),
  fc.record({ do: fc.constant('delete' as const), id }),
  fc.record({ do: fc.constant('undo' as const), id }),
  fc.record({ do: fc.constant('slice' as const) }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

async function carryOut(job: BackfillJob, given: Operation): Promise<void> {
  const decide = (decision: ExceptionDecision, filter: ExceptionFilter) =>
    decideExceptions(bench.target, job, { request: uniqueName('r'), by: 'olga', decision, filter });
  const idsOf = async (row: number) =>
    (await exceptionsOf(bench.target, job))
      .filter(({ key }) => key[0] === String(row))
      .map((found) => found.id);
  switch (given.do) {
    case 'replay':
      await decide({ kind: 'replay' }, {});
      break;
    case 'replay one':
      await decide({ kind: 'replay' }, { ids: await idsOf(given.id) });
      break;
    case 'accept':
      await decide({ kind: 'resolve' }, {});
      break;
    case 'resolve':
      await decide({ kind: 'resolve', values: { new: given.value } }, { ids: await idsOf(given.id) });
      break;
    case 'skip':
      await decide({ kind: 'skip' }, { reason: given.reason });
      break;
    case 'change':
      await bench.sql('UPDATE t SET old = $2 WHERE id = $1', [given.id, given.kind]);
      break;
    case 'delete':
      await bench.sql('DELETE FROM t WHERE id = $1', [given.id]);
      break;
    case 'undo':
      await undoRows(bench.target, job, [[String(given.id)]]);
      break;
    case 'slice':
      await runSlice(bench.target, job, { untilMs: 0 });
      break;
  }
}

/** Counts add up, and those of what is set aside are what the exceptions say. */
async function expectSound(job: BackfillJob): Promise<void> {
  const checkpoint = await readCheckpoint(bench.target, job.runId, job.phase.name);
  const counts = checkpoint?.counts;
  if (!counts) throw new Error('there is no checkpoint');
  const open = (await exceptionsOf(bench.target, job)).filter(({ status }) => status === 'open');
  expect(counts.migrated + counts.skipped + counts.ambiguous + counts.failed).toBe(counts.processed);
  expect(counts.ambiguous).toBe(open.filter((row) => row.kind === 'ambiguous').length);
  expect(counts.failed).toBe(open.filter((row) => row.kind === 'failed').length);
  expect(Math.min(...Object.values(counts))).toBeGreaterThanOrEqual(0);
}

it('whatever is decided, replayed, changed, deleted or undone in between: counts add up, and undo restores', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(kind, { minLength: 1, maxLength: 30 }),
      fc.array(operation, { maxLength: 12 }),
      fc.integer({ min: 1, max: 8 }),
      async (rows, operations, batchSize) => {
        await bench.sql('TRUNCATE t');
        await bench.sql(
          'INSERT INTO t (id, old) SELECT n, kind FROM unnest($1::text[]) WITH ORDINALITY AS r(kind, n)',
          [rows],
        );
        const job = transformJob('t', obey, { batchSize, maxBatchSize: batchSize });
        await runSlice(bench.target, job, { untilMs: 0 });
        for (const one of operations) {
          await carryOut(job, one);
          await expectSound(job);
        }
        await runToEnd(bench.target, job);
        await expectSound(job);
        await undoToEnd(bench.target, job);
        expect(await bench.sql('SELECT FROM t WHERE new IS NOT NULL')).toEqual([]);
      },
    ),
    { numRuns: 30 },
  );
}, 120_000);

it('whatever happens to the workers while lanes and decisions are under way: each row is written once, and counts add up', async () => {
  const faults = fc.array(
    fc.record({ after: fc.integer({ min: 0, max: 40 }), fault: fc.constantFrom<Fault>(...FAULTS) }),
    { maxLength: 15 },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(kind, { minLength: 10, maxLength: 80 }),
      faults,
      faults,
      fc.integer({ min: 1, max: 20 }),
      async (rows, ofLanes, ofDecisions, batchSize) => {
        await bench.sql('TRUNCATE t');
        await bench.sql(
          'INSERT INTO t (id, old) SELECT n, kind FROM unnest($1::text[]) WITH ORDINALITY AS r(kind, n)',
          [rows],
        );
        const job = transformJob('t', obey, { batchSize, maxBatchSize: batchSize });
        await runSlice(bench.target, job, { untilMs: 0, rowsPerRange: 15 });
        const laneTarget = faultyTarget(bench.target, bench, schedule(ofLanes));
        const decider = faultyTarget(bench.target, bench, schedule(ofDecisions));
        let starts = 0;
        const lane = async (name: string) => {
          const slice = () => {
            starts += 1;
            return runSlice(laneTarget, job, { claimant: { lane: name, since: starts } });
          };
          while (!(await attempt(slice)));
        };
        const decide = async (decision: ExceptionDecision, filter: ExceptionFilter, target = decider) => {
          const request = { request: uniqueName('r'), by: 'olga', decision, filter };
          while (!(await attempt(() => decideExceptions(target, job, request))));
        };
        const decisions = async () => {
          await decide({ kind: 'resolve' }, {});
          await decide({ kind: 'replay' }, { kind: 'failed' });
          await decide({ kind: 'skip' }, { reason: 'unclear' });
          await decide({ kind: 'resolve' }, { reason: 'nearly clear' });
        };
        await Promise.all([lane('a'), lane('b'), decisions()]);
        await expectSound(job);
        await decide({ kind: 'resolve' }, {}, bench.target);
        await decide({ kind: 'skip' }, {}, bench.target);

        const count = (...kinds: string[]) => rows.filter((row) => kinds.includes(row)).length;
        const counts = (await readCheckpoint(bench.target, job.runId, job.phase.name))?.counts;
        expect(counts).toEqual({
          processed: rows.length,
          migrated: count('number', 'suggested'),
          skipped: count('skipped', 'ambiguous', 'poison', 'failed'),
          ambiguous: 0,
          failed: 0,
        });
        expect(
          await bench.sql(`SELECT id, old, new, writes FROM t
            WHERE new IS DISTINCT FROM CASE old WHEN 'number' THEN id WHEN 'suggested' THEN -id END
               OR writes <> CASE WHEN old IN ('number', 'suggested') THEN 1 ELSE 0 END`),
        ).toEqual([]);
        await undoToEnd(bench.target, job);
        expect(await bench.sql('SELECT FROM t WHERE new IS NOT NULL')).toEqual([]);
      },
    ),
    { numRuns: 25 },
  );
}, 120_000);
