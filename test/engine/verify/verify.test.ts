import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Pace } from '../../../src/engine/backfill/pace.ts';
import { ambiguous, defineTransform, migrated, skipped } from '../../../src/engine/transform/transform.ts';
import {
  type Bench,
  exceptionsOf,
  jobOf,
  openBench,
  phaseOf,
  runToEnd,
  transformJob,
  undoToEnd,
} from '../harness.ts';
import { countsOf, verifyJobOf, verifyToEnd } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

const ROWS = 95;
beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text NOT NULL, new int)');
  await bench.sql(`INSERT INTO t SELECT n, n::text FROM generate_series(1, ${ROWS}) n`);
});

const byExpression = () => jobOf(phaseOf('t', { transform: { kind: 'sql', set: { new: 'old::int * 2' } } }));
const doubled = defineTransform({
  name: 'doubled',
  version: 1,
  reads: ['old'],
  writes: ['new'],
  transform: ({ old }) => {
    if (old === 'skip') return skipped();
    if (old === 'unclear') return ambiguous('unclear');
    return migrated({ new: Number(old) * 2 });
  },
});
const byFunction = () => transformJob('t', doubled);
const wrong = () => bench.sql(`SELECT id FROM t WHERE old ~ '^\\d+$' AND new IS DISTINCT FROM old::int * 2`);

describe.each([
  ['an SQL expression', byExpression],
  ['a TypeScript function', byFunction],
])('a backfill by %s', (_, backfill) => {
  it('is found as it should be, and nothing is written', async () => {
    const job = backfill();
    await runToEnd(bench.target, job);
    const before = await bench.contents('t');
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(ROWS));
    expect(await bench.contents('t')).toEqual(before);
  });

  it.each([
    ['the first row', 'id = 1'],
    ['the last row', `id = ${ROWS}`],
    ['one in the middle', 'id = 47'],
    ['a whole chunk', 'id BETWEEN 21 AND 30'],
    ['every row', 'true'],
  ])('has %s put right that differs', async (_, which) => {
    const job = backfill();
    await runToEnd(bench.target, job);
    const tampered = await bench.sql(`UPDATE t SET new = coalesce(new, 0) + 1 WHERE ${which} RETURNING id`);
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(
      countsOf(ROWS, { repaired: tampered.length }),
    );
    expect(await wrong()).toEqual([]);
    expect(await exceptionsOf(bench.target, job)).toEqual([]);
  });

  it('has rows put right that came after it, also beyond its last key', async () => {
    const job = backfill();
    await runToEnd(bench.target, job);
    await bench.sql(`INSERT INTO t VALUES (-3, '7'), (500, '8'), (501, '9')`);
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(ROWS + 3, { repaired: 3 }));
    expect(await wrong()).toEqual([]);
  });

  it('is undone exactly after repairs: the first pre-image counts', async () => {
    const job = backfill();
    const before = await bench.contents('t');
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = -1 WHERE id % 7 = 0');
    await verifyToEnd(bench.target, verifyJobOf(job));
    expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: ROWS, kept: 0 });
    expect(await bench.contents('t')).toEqual(before);
  });

  it('has differing rows listed, and left as they are, where the plan says so', async () => {
    const job = backfill();
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = NULL WHERE id = 3; UPDATE t SET new = -1 WHERE id = 60');
    const before = await bench.contents('t');
    const counts = await verifyToEnd(bench.target, verifyJobOf(job, { onDrift: 'fail' }));
    expect(counts).toEqual(countsOf(ROWS, { differing: 2 }));
    expect(await bench.contents('t')).toEqual(before);
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      { key: ['3'], kind: 'differs', reason: '"new" is NULL, and should be 6' },
      { key: ['60'], kind: 'differs', reason: '"new" is -1, and should be 120' },
    ]);
  });
});

describe.each([
  ['an SQL expression', byExpression],
  ['a TypeScript function', byFunction],
])('a partitioned table that was migrated by %s', (_, backfill) => {
  it('is verified like any other', async () => {
    await bench.sql('DROP TABLE t');
    await bench.sql(
      'CREATE TABLE t (id int PRIMARY KEY, old text NOT NULL, new int) PARTITION BY RANGE (id)',
    );
    await bench.sql('CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (MINVALUE) TO (40)');
    await bench.sql('CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (40) TO (MAXVALUE)');
    await bench.sql(`INSERT INTO t SELECT n, n::text FROM generate_series(1, ${ROWS}) n`);
    const job = backfill();
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = -1 WHERE id IN (39, 40)');
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(ROWS, { repaired: 2 }));
    expect(await wrong()).toEqual([]);
  });
});

describe('several lanes', () => {
  it('share the ranges, and what differs, and each row is checked once', async () => {
    const job = byExpression();
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = -1 WHERE id % 2 = 0');
    const verify = verifyJobOf(job, { batchSize: 3 });
    const lanes = ['a', 'b', 'c'].map((lane) =>
      verifyToEnd(bench.target, verify, { rowsPerRange: 7, claimant: { lane, since: Date.now() } }),
    );
    for (const counts of await Promise.all(lanes)) expect(counts).toEqual(countsOf(ROWS, { repaired: 47 }));
    expect(await wrong()).toEqual([]);
  });
});

describe('a verification', () => {
  it('needs a backfill that has begun, and is not undone', async () => {
    const job = byExpression();
    await expect(verifyToEnd(bench.target, verifyJobOf(job))).rejects.toThrow(
      'cannot verify the backfill "fill", which has not begun on this target',
    );
    await runToEnd(bench.target, job);
    await undoToEnd(bench.target, job);
    await expect(verifyToEnd(bench.target, verifyJobOf(job))).rejects.toThrow('is being undone or was');
  });

  it('that is under way when an undo begins writes nothing any more', async () => {
    const job = byExpression();
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = 0 WHERE id = 5');
    let looks = 0;
    const pace: Pace = {
      admit: async () => {
        looks += 1;
        if (looks === 2) {
          await bench.sql('UPDATE t SET new = 10 WHERE id = 5');
          await undoToEnd(bench.target, job);
        }
        return { kind: 'go', rows: ROWS };
      },
      took: () => {},
      timedOut: () => {},
    };
    await expect(
      verifyToEnd(bench.target, verifyJobOf(job), { pace, rowsPerRange: ROWS }),
    ).rejects.toMatchObject({ name: 'BackfillUndone' });
    expect(await bench.sql('SELECT FROM t WHERE new IS NOT NULL')).toEqual([]);
  });

  it('begins again with another attempt, and only then', async () => {
    const job = byExpression();
    await runToEnd(bench.target, job);
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(ROWS));
    await bench.sql('UPDATE t SET new = -1 WHERE id = 1');
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(ROWS));
    const again = verifyJobOf(job, {}, { attempt: 'second' });
    expect(await verifyToEnd(bench.target, again)).toEqual(countsOf(ROWS, { repaired: 1 }));
  });

  it('looks only at rows that the transform is for, also those that the backfill had no need to touch', async () => {
    await bench.sql('UPDATE t SET new = -1 WHERE id IN (10, 20)');
    const set = { new: 'old::int * 2' };
    const phase = phaseOf('t', { transform: { kind: 'sql', set }, where: 'id < 15', pending: 'new IS NULL' });
    const job = jobOf(phase);
    expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: 13 });
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(14, { repaired: 1 }));
    expect(await bench.sql('SELECT id, new FROM t WHERE id IN (10, 20) ORDER BY id')).toEqual([
      { id: 10, new: 20 },
      { id: 20, new: -1 },
    ]);
  });

  it('can be aborted at any moment, and goes on', async () => {
    const job = byFunction();
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = -1 WHERE id IN (1, 95)');
    const verify = verifyJobOf(job, { batchSize: 3 });
    for (const ms of [0, 5, 10, 20, 40]) {
      const signal = AbortSignal.timeout(ms);
      await verifyToEnd(bench.target, verify, { signal }).catch((error: unknown) => {
        if (!(error instanceof Error && error.name === 'TimeoutError')) throw error;
      });
    }
    expect(await verifyToEnd(bench.target, verify)).toEqual(countsOf(ROWS, { repaired: 2 }));
  });
});
