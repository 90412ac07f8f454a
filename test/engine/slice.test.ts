import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/engine/backfill/records.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import type { BatchProgress } from '../../src/engine/job.ts';
import { defineTransform, migrated, skipped } from '../../src/engine/transform/transform.ts';
import {
  type Bench,
  countWrites,
  exceptionsOf,
  jobOf,
  openBench,
  phaseOf,
  runToEnd,
  transformJob,
} from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql(
    'CREATE TABLE t (id int PRIMARY KEY, old text, new int, short varchar(3), writes int NOT NULL DEFAULT 0)',
  );
});

const fill = (rows: number) =>
  bench.sql(`INSERT INTO t SELECT n, n::text FROM generate_series(1, $1) n`, [rows]);

const byName = { kind: 'sql', set: { new: 'old::int' } } as const;

/** Parses `old` as the SQL transform does. */
const parse = defineTransform({
  name: 'parse',
  version: 1,
  reads: ['old'],
  writes: ['new', 'short'],
  transform: ({ old }) => migrated({ new: old }),
});

describe.each(['sql', 'typescript'])('a backfill by %s', (kind) => {
  const job = (given = {}) =>
    kind === 'sql' ? jobOf(phaseOf('t', { transform: byName, ...given })) : transformJob('t', parse, given);

  it.each([0, 1, 9, 10, 11, 20, 25])('of %d rows in batches of 10 migrates each row once', async (rows) => {
    await fill(rows);
    await countWrites(bench, 't');
    expect(await runToEnd(bench.target, job(), { untilMs: 0 })).toEqual({
      processed: rows,
      migrated: rows,
      skipped: 0,
      ambiguous: 0,
      failed: 0,
    });
    expect(await bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM id OR writes <> 1')).toEqual([]);
  });

  it.each([[[1]], [[25]], [[13]], [[10, 11]], [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]], [[5, 15, 25]]])(
    'closes in on the failing rows %j, and migrates the others',
    async (poison) => {
      await fill(25);
      await bench.sql(`UPDATE t SET old = 'x' || id WHERE id = ANY ($1)`, [poison]);
      const work = job();
      const counts = await runToEnd(bench.target, work);
      expect(counts).toMatchObject({ processed: 25, migrated: 25 - poison.length, failed: poison.length });
      const exceptions = await exceptionsOf(bench.target, work);
      expect(exceptions.map(({ key }) => key)).toEqual(poison.map((id) => [String(id)]));
      expect(exceptions[0]).toMatchObject({ kind: 'failed', sqlstate: '22P02', suggestion: null });
      expect(exceptions[0]?.reason).toContain(`invalid input syntax for type integer: "x${poison[0]}"`);
      const left = await bench.sql<{ id: number }>('SELECT id FROM t WHERE new IS NULL ORDER BY id');
      expect(left.map(({ id }) => id)).toEqual(poison);
    },
  );

  it('sets rows aside that a constraint refuses, deferred ones too, with what the server said', async () => {
    await fill(25);
    await bench.sql('ALTER TABLE t ADD UNIQUE (new) DEFERRABLE INITIALLY DEFERRED');
    await bench.sql(`UPDATE t SET old = '3' WHERE id = 17`);
    const work = job();
    expect(await runToEnd(bench.target, work)).toMatchObject({ migrated: 24, failed: 1 });
    expect(await exceptionsOf(bench.target, work)).toMatchObject([
      { key: ['17'], sqlstate: '23505', message: expect.stringContaining('Key (new)=(3) already exists') },
    ]);
  });

  it('sets rows aside whose update a trigger suppresses', async () => {
    await fill(12);
    await bench.sql(`CREATE OR REPLACE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RETURN CASE WHEN NEW.id = 7 THEN NULL ELSE NEW END; END $$`);
    await bench.sql('CREATE TRIGGER s BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress()');
    const work = job();
    expect(await runToEnd(bench.target, work)).toMatchObject({ migrated: 11, failed: 1 });
    expect(await exceptionsOf(bench.target, work)).toMatchObject([
      { key: ['7'], reason: expect.stringContaining('suppressed') },
    ]);
  });

  it.each(['none', 'journal'] as const)(
    'sets rows aside of which the trigger of a table that inherits suppresses it; undo: %s',
    async (kind) => {
      await fill(12);
      await bench.sql('CREATE TABLE child () INHERITS (t)');
      await bench.sql(`INSERT INTO child SELECT n, n::text FROM generate_series(13, 15) n`);
      await bench.sql(`CREATE OR REPLACE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RETURN CASE WHEN NEW.id = 14 THEN NULL ELSE NEW END; END $$`);
      await bench.sql('CREATE TRIGGER s BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION suppress()');
      const work = job({ key: ['id'], undo: { kind } });
      expect(await runToEnd(bench.target, work)).toMatchObject({ migrated: 14, failed: 1 });
      expect(await exceptionsOf(bench.target, work)).toMatchObject([{ key: ['14'] }]);
      await bench.sql('DROP TABLE t CASCADE');
    },
  );

  it('counts only rows that meet the condition, and sets aside those on which it fails', async () => {
    await fill(30);
    await bench.sql(`UPDATE t SET old = 'none' WHERE id = 4`);
    const work = job({ where: 'old::int % 2 = 0 -- even ones' });
    expect(await runToEnd(bench.target, work)).toEqual({
      processed: 15,
      migrated: 14,
      skipped: 0,
      ambiguous: 0,
      failed: 1,
    });
    expect(await exceptionsOf(bench.target, work)).toMatchObject([{ key: ['4'], sqlstate: '22P02' }]);
  });

  it('leaves rows beyond the first upper bound alone', async () => {
    await fill(25);
    const work = job();
    expect(await runSlice(bench.target, work, { untilMs: 0 })).toMatchObject({
      done: false,
      processedThisSlice: 10,
    });
    await bench.sql(`INSERT INTO t VALUES (26, '26')`);
    expect(await runToEnd(bench.target, work)).toMatchObject({ processed: 25 });
    expect(await bench.sql('SELECT new FROM t WHERE id = 26')).toEqual([{ new: null }]);
  });

  it('stops when more rows fail than the plan allows, after recording them', async () => {
    await fill(40);
    await bench.sql(`UPDATE t SET old = 'x' WHERE id IN (3, 14, 15)`);
    const work = job({ errorBudget: { rows: 2, share: 1 } });
    await expect(runSlice(bench.target, work)).rejects.toMatchObject({
      name: 'BudgetExceeded',
      message: expect.stringContaining('3 rows failed; the error budget allows 2'),
    });
    expect(await exceptionsOf(bench.target, work)).toHaveLength(3);
    const checkpoint = await readCheckpoint(bench.target, work.runId, 'fill');
    expect(checkpoint).toMatchObject({ done: false, counts: { processed: 20, failed: 3 } });
    await expect(runSlice(bench.target, work)).rejects.toThrow('3 rows failed');
    expect(await bench.sql('SELECT FROM t WHERE new IS NOT NULL')).toHaveLength(17);
  });

  it('tells after each batch how far it is', async () => {
    await fill(25);
    const progress: BatchProgress[] = [];
    await runSlice(bench.target, job(), { progressMs: 0, onProgress: (batch) => progress.push(batch) });
    expect(progress.map(({ counts }) => counts.processed)).toEqual([10, 20, 25]);
    expect(progress.every(({ estimatedRows }) => estimatedRows === 25)).toBe(true);
    expect(progress.every(({ rowsPerSecond, batchMs }) => rowsPerSecond > 0 && batchMs > 0)).toBe(true);
  });

  it('says what is wrong when the server refuses the statement for all rows', async () => {
    await fill(3);
    await bench.sql('ALTER TABLE t RENAME new TO newer');
    await expect(runSlice(bench.target, job())).rejects.toThrow('no column "new"');
    expect(await bench.sql(`SELECT FROM t WHERE newer IS NOT NULL`)).toEqual([]);
  });
});

describe('a backfill', () => {
  it('by an expression over the table by its name, a subquery and several columns', async () => {
    await fill(12);
    const set = {
      new: '(SELECT max(o.id) FROM t AS o) + t.id',
      short: `left(t.old, 1) -- the first`,
    };
    await runToEnd(bench.target, jobOf(phaseOf('t', { transform: { kind: 'sql', set } })));
    expect(await bench.sql('SELECT new, short FROM t WHERE id = 11')).toEqual([{ new: 23, short: '1' }]);
  });

  it('refuses to cut text that is too long for its column', async () => {
    await fill(1);
    const cut = defineTransform({ ...parse, name: 'cut', transform: () => migrated({ short: 'abcd' }) });
    const job = transformJob('t', cut);
    expect(await runToEnd(bench.target, job)).toMatchObject({ failed: 1 });
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      { sqlstate: '22001', reason: 'value too long for type character varying(3)' },
    ]);
  });

  it('leaves columns alone that a row does not mention', async () => {
    await fill(4);
    await bench.sql(`UPDATE t SET new = 99, short = 'abc'`);
    const some = defineTransform({
      name: 'some',
      version: 1,
      reads: ['old'],
      writes: ['new', 'short'],
      transform: ({ old }) => {
        if (old === '1') return migrated({ new: 1 });
        if (old === '2') return migrated({ short: null, new: undefined });
        if (old === '3') return migrated({ new: null, short: 'x' });
        return skipped('nothing to do');
      },
    });
    expect(await runToEnd(bench.target, transformJob('t', some))).toMatchObject({ migrated: 3, skipped: 1 });
    expect(await bench.sql('SELECT new, short FROM t ORDER BY id')).toEqual([
      { new: 1, short: 'abc' },
      { new: 99, short: null },
      { new: null, short: 'x' },
      { new: 99, short: 'abc' },
    ]);
  });

  it('refuses to go on over another key than it began with', async () => {
    await fill(25);
    const job = jobOf(phaseOf('t', { transform: byName }));
    await runSlice(bench.target, job, { untilMs: 0 });
    await bench.sql('ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, writes)');
    await expect(runSlice(bench.target, job)).rejects.toThrow(
      'the key of public.t was (id) when the backfill began',
    );
  });

  it('finds a table by its schema, with a name that needs quotes', async () => {
    await bench.sql('CREATE SCHEMA "Odd one"');
    await bench.sql('CREATE TABLE "Odd one"."T "" x" ("Id" int PRIMARY KEY, "a b" int, "c""d" int)');
    await bench.sql('INSERT INTO "Odd one"."T "" x" SELECT n, n FROM generate_series(1, 12) n');
    const transform = { kind: 'sql', set: { 'c"d': '"a b" * 2' } } as const;
    await runToEnd(bench.target, jobOf(phaseOf('"Odd one"."T "" x"', { transform })));
    expect(await bench.sql('SELECT FROM "Odd one"."T "" x" WHERE "c""d" IS DISTINCT FROM "Id" * 2')).toEqual(
      [],
    );
  });

  it('says so when the table is gone or has no key', async () => {
    await expect(runSlice(bench.target, jobOf(phaseOf('nowhere')))).rejects.toThrow(
      'there is no table nowhere',
    );
    await bench.sql('CREATE TABLE keyless (old int, new int)');
    const job = jobOf(phaseOf('keyless'));
    await expect(runSlice(bench.target, job)).rejects.toThrow('has no primary key');
    expect(await readCheckpoint(bench.target, job.runId, 'fill')).toBeUndefined();
  });
});
