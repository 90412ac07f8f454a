import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VerifyCounts } from '../../../src/domain/verification.ts';
import { defineTransform, migrated } from '../../../src/engine/transform/transform.ts';
import type { VerifyJob } from '../../../src/engine/verify/job.ts';
import { readVerification } from '../../../src/engine/verify/records.ts';
import { verifySlice } from '../../../src/engine/verify/slice.ts';
import { createPostgresTarget } from '../../../src/targets/postgres/connection.ts';
import type { Target } from '../../../src/targets/target.ts';
import { attempt, FAULTS, type Fault, faultyTarget, schedule } from '../faults.ts';
import { type Bench, exceptionsOf, jobOf, openBench, phaseOf, runToEnd, transformJob } from '../harness.ts';
import { countsOf, QUICK, verifyJobOf } from './support.ts';

let bench: Bench;
let workers: Target;
beforeAll(async () => {
  bench = await openBench();
  workers = createPostgresTarget({ name: 'workers', url: bench.url, poolSize: 8 });
  await bench.sql('CREATE TABLE t (a int, b text, old text, new int, PRIMARY KEY (a, b))');
  await bench.sql('CREATE TABLE copies (a int, b text, n int, own int DEFAULT 3, PRIMARY KEY (b, a))');
});
afterAll(async () => {
  await workers.close();
  await bench.close();
});

const HOW = ['sql', 'typescript', 'insert', 'upsert'] as const;
/** What has become of a row since the backfill: `late` ones came after it, `poison` ones it has set aside. */
const ROWS = ['good', 'good', 'good', 'other', 'null', 'late', 'poison'] as const;
const scenario = fc.record({
  how: fc.constantFrom(...HOW),
  rows: fc.array(fc.constantFrom(...ROWS), { minLength: 1, maxLength: 120 }),
  batchSize: fc.integer({ min: 1, max: 50 }),
  rowsPerRange: fc.integer({ min: 5, max: 80 }),
  lanes: fc.integer({ min: 1, max: 3 }),
  faults: fc.array(
    fc.record({ after: fc.integer({ min: 0, max: 30 }), fault: fc.constantFrom<Fault>(...FAULTS) }),
    { maxLength: 15 },
  ),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer S> ? S : never;

const derive = defineTransform({
  name: 'derive',
  version: 1,
  reads: ['old'],
  writes: ['new'],
  transform: ({ old }) => migrated({ new: old }),
});
const copies = (onConflict: 'nothing' | 'update') => ({
  kind: 'insert' as const,
  into: 'copies',
  values: { a: 'a', b: 'b', n: 'old::int' },
  identifiedBy: ['a', 'b'],
  onConflict,
});

function backfillOf({ how, batchSize }: Scenario) {
  const given = { batchSize, maxBatchSize: batchSize };
  switch (how) {
    case 'typescript':
      return transformJob('t', derive, given);
    case 'sql':
      return jobOf(phaseOf('t', { ...given, transform: { kind: 'sql', set: { new: 'old::int' } } }));
    default:
      return jobOf(phaseOf('t', { ...given, transform: copies(how === 'upsert' ? 'update' : 'nothing') }));
  }
}

/** A row per kind, by its place; those that come late are left out. */
async function fill(kinds: readonly string[], late: boolean): Promise<void> {
  await bench.sql(
    `INSERT INTO t (a, b, old)
     SELECT n % 7, 'row ' || n, CASE WHEN kind = 'poison' THEN 'poison' ELSE n::text END
       FROM unnest($1::text[]) WITH ORDINALITY AS given(kind, n) WHERE (kind = 'late') = $2`,
    [kinds, late],
  );
}

/** Returns the places of rows that are not what they should be by now. */
async function tamper({ how, rows }: Scenario): Promise<number[]> {
  const places = (kind: string) => rows.flatMap((row, i) => (row === kind ? [i + 1] : []));
  const among = (kind: string) => `b = ANY (SELECT 'row ' || n FROM unnest('{${places(kind)}}'::int[]) n)`;
  if (how === 'sql' || how === 'typescript') {
    await bench.sql(`UPDATE t SET new = -1 WHERE ${among('other')}`);
    await bench.sql(`UPDATE t SET new = NULL WHERE ${among('null')}`);
  } else {
    await bench.sql(`UPDATE copies SET n = -1 WHERE ${among('other')}`);
    await bench.sql(`DELETE FROM copies WHERE ${among('null')}`);
  }
  await fill(rows, true);
  const kinds = how === 'insert' ? ['null', 'late'] : ['other', 'null', 'late'];
  return kinds.flatMap(places).sort((a, b) => a - b);
}

let started = 0;
async function verify(job: VerifyJob, { lanes, rowsPerRange, faults }: Scenario): Promise<VerifyCounts> {
  const target = faultyTarget(workers, bench, schedule(faults));
  const options = { ...QUICK, rowsPerRange, settleMs: 5, waitMs: 5, leaseMs: 50, untilMs: 200 };
  for (let done = false; !done; ) {
    const ends = await Promise.all(
      Array.from({ length: lanes }, (_, lane) => {
        started += 1;
        const claimant = { lane: `lane-${lane}`, since: started };
        return attempt(() => verifySlice(target, job, { ...options, claimant }));
      }),
    );
    done = ends.some(Boolean);
  }
  const verification = await readVerification(bench.target, job.runId, job.phase.name);
  if (!verification) throw new Error('nothing is known of the verification');
  return verification.counts;
}

describe('whatever the rows, the chunks and what happens to workers', () => {
  it('exactly the rows that were tampered with are found, and repaired when that is wanted', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const { how, rows } = given;
        await bench.sql('TRUNCATE t, copies');
        await fill(rows, false);
        const job = backfillOf(given);
        await runToEnd(bench.target, job);
        const wrong = await tamper(given);
        const failed = rows.filter((row) => row === 'poison').length;

        const counts = await verify(verifyJobOf(job, { onDrift: 'fail', batchSize: given.batchSize }), given);
        expect(counts).toEqual(countsOf(rows.length, { differing: wrong.length, failed }));
        const listed = (await exceptionsOf(bench.target, job))
          .filter(({ kind }) => kind === 'differs')
          .map(({ key }) => Number(key[1]?.slice('row '.length)));
        expect(listed.sort((a, b) => a - b)).toEqual(wrong);

        const repairing = verifyJobOf(job, { batchSize: given.batchSize }, { attempt: 'second' });
        const repaired = await verify(repairing, given);
        expect(repaired).toEqual(countsOf(rows.length, { repaired: wrong.length, failed }));
        const should = how === 'sql' || how === 'typescript' ? 't' : 'copies';
        const column = should === 't' ? 'new' : 'n';
        const left = how === 'insert' ? `AND ${column} IS DISTINCT FROM -1` : '';
        expect(
          await bench.sql(
            `SELECT t.b FROM t LEFT JOIN ${should} AS s USING (a, b)
              WHERE t.old <> 'poison' AND s.${column} IS DISTINCT FROM t.old::int ${left}`,
          ),
        ).toEqual([]);
        const open = (await exceptionsOf(bench.target, job)).filter(
          ({ kind, status }) => kind === 'differs' && status === 'open',
        );
        expect(open).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });
});
