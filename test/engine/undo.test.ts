import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readContext } from '../../src/engine/backfill/context.ts';
import { migrateRows } from '../../src/engine/backfill/migrate.ts';
import { type Admission, type Pace, steadyPace } from '../../src/engine/backfill/pace.ts';
import { readCheckpoint } from '../../src/engine/backfill/records.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import type { BackfillJob, BatchProgress } from '../../src/engine/job.ts';
import { defineTransform, migrated } from '../../src/engine/transform/transform.ts';
import { inHoursOfUndo } from '../../src/engine/undo/context.ts';
import { undoSlice } from '../../src/engine/undo/undo.ts';
import { undoRows } from '../../src/engine/undo/undo-rows.ts';
import { pinSession } from '../../src/targets/postgres/backfill/pin-session.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import { until } from '../support/until.ts';
import {
  type Bench,
  countWrites,
  exceptionsOf,
  jobOf,
  ODD_SETTINGS,
  openBench,
  phaseOf,
  runToEnd,
  transformJob,
  undoToEnd,
} from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench(ODD_SETTINGS);
});
afterAll(() => bench.close());

beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old int, new int)');
  await bench.sql('INSERT INTO t SELECT n, n, -n FROM generate_series(1, 25) n');
});

describe('undo by journal', () => {
  it('restores values of every type exactly', async () => {
    const columns: Record<string, string> = {
      json: `'{"b": 1,  "a": 1.0, "a": 2 }'`,
      jsonb: `'{"n": 12345678901234567890.10, "s": "é\\n"}'`,
      text: `E' NULL, "quoted" \\\\ {}\\n'`,
      varchar: `'ab '`,
      char: `'x'`,
      numeric: `'1.500'`,
      real: `'0.1'`,
      double: `0.1::float8 + 0.2::float8`,
      timestamptz: `'2025-03-30 02:30:00.000001+01'`,
      timestamp: `'infinity'`,
      interval: `'1 mon -2 days 03:04:05.000006'`,
      bytea: `'\\x00ff5c27'`,
      bool: 'true',
      array: `ARRAY['a,b', NULL, 'NULL', '"', '']`,
      range: `'[1,5)'`,
      inet: `'10.0.0.1/8'`,
      bit: `B'101'`,
      empty: `''`,
    };
    const types: Record<string, string> = {
      varchar: 'varchar(5)',
      char: 'char(4)',
      numeric: 'numeric(10,4)',
      double: 'double precision',
      array: 'text[]',
      range: 'int4range',
      bit: 'bit(3)',
      empty: 'text',
    };
    const names = Object.keys(columns);
    const typeOf = (name: string) => types[name] ?? name;
    const declared = names.map((name) => `"${name}" ${typeOf(name)}`);
    await bench.sql('DROP TABLE t');
    await bench.sql(`CREATE TABLE t (id int PRIMARY KEY, ${declared.join(', ')})`);
    await bench.sql(`INSERT INTO t VALUES (1, ${Object.values(columns).join(', ')})`);
    await bench.sql('INSERT INTO t VALUES (2)');
    const before = await bench.contents('t');
    const set = Object.fromEntries(
      names.map((name) => [name, `CASE WHEN "${name}" IS NULL THEN (${columns[name]})::${typeOf(name)} END`]),
    );
    const job = jobOf(phaseOf('t', { transform: { kind: 'sql', set } }));
    await runToEnd(bench.target, job);
    const after = await bench.contents('t');
    expect(after).toHaveLength(2);
    expect(after.some((row) => before.includes(row))).toBe(false);
    await undoToEnd(bench.target, job);
    expect(await bench.contents('t')).toEqual(before);
  });

  it('restores values of types that the application made, none of which the journal depends on', async () => {
    await bench.sql(`DROP TABLE t; DROP TYPE IF EXISTS mood, place; DROP DOMAIN IF EXISTS short_code;
      CREATE TYPE mood AS ENUM ('low', 'high'); CREATE TYPE place AS (street text, number int);
      CREATE DOMAIN short_code AS varchar(5) CHECK (VALUE <> '')`);
    await bench.sql(`CREATE TABLE t (id mood, code short_code COLLATE "C", mood mood, moods mood[], place place, note text,
      PRIMARY KEY (id, code))`);
    await bench.sql(`INSERT INTO t VALUES
      ('low', 'a', 'high', '{low,NULL,high}', '("Main "St"",5)', repeat('long and ', 4000)),
      ('high', 'b', NULL, NULL, NULL, '')`);
    const before = await bench.contents('t');
    const set = { mood: `'low'`, moods: `'{}'`, place: `ROW('', 0)::place`, note: `'new'` };
    const job = jobOf(phaseOf('t', { transform: { kind: 'sql', set } }));
    await runToEnd(bench.target, job);
    expect(await undoRows(bench.target, job, [['high', 'b']])).toMatchObject({ restored: [['high', 'b']] });
    expect(await undoToEnd(bench.target, job)).toMatchObject({ done: true, restored: 2, kept: 0 });
    expect(await bench.contents('t')).toEqual(before);
    await bench.sql('DROP TABLE t; DROP TYPE mood, place; DROP DOMAIN short_code');
  });

  it('restores a row that was migrated twice to what it was before the first time', async () => {
    const job = jobOf(phaseOf('t'));
    await runSlice(bench.target, job, { untilMs: 0 });
    await bench.sql('UPDATE t SET old = old * 2 WHERE id IN (3, 15, 23)');
    for (const keys of [[['3'], ['15']], [['23']]]) {
      await bench.target.transaction({}, async (session) => {
        await pinSession(session);
        const context = (await readContext(session, job)) ?? expect.fail('it has begun');
        const { counts } = await migrateRows(session, context, { keys });
        expect(counts.migrated).toBe(keys.length);
      });
    }
    expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: 25 });
    expect(await bench.sql('SELECT id, new FROM t WHERE new <> id ORDER BY id')).toEqual(
      [3, 15, 23].map((id) => ({ id, new: id * 2 })),
    );
    expect(await undoToEnd(bench.target, job)).toMatchObject({ done: true, restored: 25, kept: 0 });
    expect(await bench.sql('SELECT FROM t WHERE new <> -id')).toEqual([]);
  });

  it('also undoes a backfill that is only half done, in slices', async () => {
    const before = await bench.contents('t');
    const job = jobOf(phaseOf('t'));
    await runSlice(bench.target, job, { untilMs: 0 });
    await runSlice(bench.target, job, { untilMs: 0 });
    const first = await undoSlice(bench.target, job, { untilMs: 0 });
    expect(first).toMatchObject({ done: false, restored: 10, kept: 0 });
    expect(await undoToEnd(bench.target, job, { untilMs: 0 })).toMatchObject({
      done: true,
      restored: 20,
      kept: 0,
    });
    expect(await bench.contents('t')).toEqual(before);
  });

  it('has nothing to do for a backfill that never began, and does nothing twice', async () => {
    const job = jobOf(phaseOf('t'));
    expect(await undoSlice(bench.target, job)).toMatchObject({ done: true, restored: 0, kept: 0 });
    await runToEnd(bench.target, job);
    await undoToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = 5');
    expect(await undoSlice(bench.target, job)).toMatchObject({ done: true, restored: 25, kept: 0 });
    expect(await bench.sql('SELECT DISTINCT new FROM t')).toEqual([{ new: 5 }]);
  });

  it('keeps and lists rows that the application changed or deleted since', async () => {
    const job = jobOf(phaseOf('t'));
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = 77 WHERE id = 3');
    await bench.sql('UPDATE t SET old = 88 WHERE id = 4');
    await bench.sql('DELETE FROM t WHERE id = 5');
    expect(await undoToEnd(bench.target, job)).toMatchObject({ done: true, restored: 23, kept: 2 });
    expect(await bench.sql('SELECT id, old, new FROM t WHERE id IN (3, 4) ORDER BY id')).toEqual([
      { id: 3, old: 3, new: 77 },
      { id: 4, old: 88, new: -4 },
    ]);
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      {
        key: ['3'],
        kind: 'kept',
        reason: 'written since it was migrated (new); its present values were kept',
      },
      { key: ['5'], kind: 'kept', reason: 'deleted since it was migrated' },
    ]);
  });

  it('keeps rows that the database no longer takes back, and goes on', async () => {
    const job = jobOf(phaseOf('t'));
    await runToEnd(bench.target, job);
    await bench.sql('ALTER TABLE t ADD CHECK (new <> -7)');
    expect(await undoToEnd(bench.target, job)).toMatchObject({ done: true, restored: 24, kept: 1 });
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      { key: ['7'], kind: 'kept', sqlstate: '23514' },
    ]);
  });

  it('needs no transform: the worker may no longer have it', async () => {
    const before = await bench.contents('t');
    const double = defineTransform({
      name: 'double',
      version: 3,
      reads: ['old'],
      writes: ['new'],
      transform: ({ old }) => migrated({ new: Number(old) * 2 }),
    });
    const job = transformJob('t', double);
    await runToEnd(bench.target, job);
    expect(await bench.sql('SELECT FROM t WHERE new = old * 2')).toHaveLength(25);
    const elsewhere = { ...jobOf(job.phase), runId: job.runId };
    expect(await undoToEnd(bench.target, elsewhere)).toMatchObject({ restored: 25 });
    expect(await bench.contents('t')).toEqual(before);
  });

  it('undoes single rows by key, while the backfill goes on', async () => {
    const job = jobOf(phaseOf('t'));
    await runSlice(bench.target, job, { untilMs: 0 });
    await bench.sql('UPDATE t SET new = 77 WHERE id = 3');
    const undone = () => undoRows(bench.target, job, [['2'], ['3'], ['2'], ['20'], ['x']]);
    expect(await undone()).toEqual({ restored: [['2']], kept: [['3']], unknown: [['20'], ['x']] });
    expect(await undone()).toEqual({ restored: [], kept: [['3']], unknown: [['2'], ['2'], ['20'], ['x']] });
    expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: 25 });
    expect(await bench.sql('SELECT id, new FROM t WHERE new <> id ORDER BY id')).toEqual([
      { id: 2, new: -2 },
      { id: 3, new: 77 },
    ]);
    expect(await undoToEnd(bench.target, job)).toMatchObject({ done: true, restored: 24, kept: 1 });
    await expect(undoRows(bench.target, job, [['1', '2']])).rejects.toThrow('has 1 values (id)');
  });
});

describe('an undo on several lanes', () => {
  it('takes the backfill away from the lanes that are at work, and gives every row back once', async () => {
    await bench.sql('INSERT INTO t SELECT n, n, -n FROM generate_series(26, 600) n');
    await bench.sql('ALTER TABLE t ADD writes int NOT NULL DEFAULT 0');
    await countWrites(bench, 't');
    const before = await bench.sql('SELECT id, old, new FROM t ORDER BY id');
    const slow = { new: 'CASE WHEN pg_sleep(0.001) IS NOT NULL THEN old END' };
    const job = jobOf(phaseOf('t', { transform: { kind: 'sql', set: slow } }));
    const lanes = ['a', 'b', 'c'].map((lane) =>
      runSlice(bench.target, job, { claimant: { lane, since: 1 }, rowsPerRange: 50 }).catch((error) => error),
    );
    await until(async () => (await readCheckpoint(bench.target, job.runId, 'fill'))?.counts.processed, {
      what: 'the first batches',
    });
    const undos = Array.from({ length: 3 }, () => undoToEnd(bench.target, job, { untilMs: 5 }));
    const results = await Promise.all(undos);
    for (const lane of lanes) expect(await lane).toMatchObject({ name: 'BackfillUndone' });

    expect(await bench.sql('SELECT id, old, new FROM t ORDER BY id')).toEqual(before);
    const [{ written = 0, doubled = 0 } = {}] = await bench.sql<{ written: number; doubled: number }>(
      `SELECT count(*) FILTER (WHERE writes = 2)::int AS written,
              count(*) FILTER (WHERE writes NOT IN (0, 2))::int AS doubled FROM t`,
    );
    expect(doubled).toBe(0);
    expect(written).toBeGreaterThan(0);
    expect(written).toBeLessThan(600);
    for (const result of results) expect(result).toMatchObject({ restored: written, kept: 0, rows: written });
  });

  it('waits for rows that another one has taken, and takes them when that one fails', async () => {
    const job = jobOf(phaseOf('t'));
    await runToEnd(bench.target, job);
    const journal = (await journalOf(job)) ?? expect.fail('there is no journal');
    const before = await bench.sql<{ new: number }>('SELECT new FROM t');
    expect(before).toHaveLength(25);
    let undo: Promise<unknown> | undefined;
    await bench.target
      .transaction({}, async (session) => {
        await session.query(`DELETE FROM ${journal} WHERE k0 BETWEEN 5 AND 8`);
        undo = undoToEnd(bench.target, job, { waitMs: 5 });
        await until(async () => (await bench.sql('SELECT FROM t WHERE new > 0')).length === 4, {
          what: 'the other rows',
        });
        throw new Error('this one fails');
      })
      .catch(() => undefined);
    expect(await undo).toMatchObject({ restored: 25, kept: 0 });
  });
});

describe('the pace of an undo', () => {
  it('decides how many rows a batch takes, and hears what they took', async () => {
    const job = jobOf(phaseOf('t'));
    await runToEnd(bench.target, job);
    const sizes = [3, 10, 1, 100];
    const heard: number[] = [];
    const told: BatchProgress[] = [];
    const pace: Pace = {
      admit: async () => ({ kind: 'go', rows: sizes.shift() ?? 100 }),
      took: ({ rows, ms }) => {
        expect(ms).toBeGreaterThan(0);
        heard.push(rows);
      },
      timedOut: () => expect.fail('nothing takes long'),
    };
    await undoSlice(bench.target, job, {
      pace,
      progressMs: 0,
      onProgress: (progress) => told.push(progress),
    });
    expect(heard).toEqual([3, 10, 1, 11]);
    expect(told.map(({ counts }) => counts.processed).slice(0, 4)).toEqual([3, 13, 14, 25]);
    expect(told[0]).toMatchObject({ counts: { migrated: 3, skipped: 0 }, estimatedRows: 25 });
    expect(told[0]?.rowsPerSecond).toBeGreaterThan(0);
  });

  it('has it stand by, or end until it may go on', async () => {
    const job = jobOf(phaseOf('t'));
    await runToEnd(bench.target, job);
    const at = new Date('2030-01-01T00:00:00Z');
    const admissions: Admission[] = [
      { kind: 'stand-by', why: 'busy' },
      { kind: 'go', rows: 10 },
      { kind: 'stand-by', why: 'busy' },
      { kind: 'closed', until: at, why: 'by day' },
    ];
    const pace = {
      ...steadyPace(job.phase),
      admit: async () => admissions.shift() ?? expect.fail('asked again'),
    };
    expect(await undoSlice(bench.target, job, { pace, waitMs: 1 })).toEqual({
      done: false,
      restored: 10,
      kept: 0,
      rows: 25,
      closed: { until: at, why: 'by day' },
    });
    expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 25 });
  });

  it('shrinks batches that run into their statement timeout, and says so when a single row does', async () => {
    const job = jobOf(phaseOf('t'));
    await runToEnd(bench.target, job);
    await bench.sql(`CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$`);
    await bench.sql(
      'CREATE TRIGGER dawdles BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id > 20) EXECUTE FUNCTION dawdle()',
    );
    expect(await undoSlice(bench.target, job, { statementTimeoutMs: 200, untilMs: 0 })).toMatchObject({
      restored: 0,
    });
    expect(await undoToEnd(bench.target, job, { statementTimeoutMs: 200 })).toMatchObject({
      restored: 25,
      kept: 0,
    });

    const again = jobOf(phaseOf('t'));
    await bench.sql('DROP TRIGGER dawdles ON t');
    await runToEnd(bench.target, again);
    await bench.sql(
      'CREATE TRIGGER dawdles BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id = 9) EXECUTE FUNCTION dawdle()',
    );
    await expect(undoToEnd(bench.target, again, { statementTimeoutMs: 30 })).rejects.toMatchObject({
      name: 'BatchNeverEnds',
      message: expect.stringContaining('the row before the key (10)'),
    });
    expect(await bench.sql('SELECT id FROM t WHERE new > 0 ORDER BY id')).toHaveLength(9);
    await bench.sql('DROP TRIGGER dawdles ON t');
    expect(await undoToEnd(bench.target, again)).toMatchObject({ restored: 25 });
  });
});

describe('the hours of an undo', () => {
  const hours = {
    windows: [{ from: '22:00', to: '06:00', timeZone: 'Europe/Berlin', notOn: [1] }],
    blackouts: [{ from: '2026-12-24T00:00', to: '2026-12-27T00:00', timeZone: 'UTC', reason: 'holidays' }],
  };
  it('are all hours, unless the plan wants it to wait as the backfill does', () => {
    const phase = phaseOf('t', hours);
    expect(inHoursOfUndo(phase)).toMatchObject({ windows: [], blackouts: [] });
    const waiting = phaseOf('t', { ...hours, undo: { kind: 'journal', onlyInWindows: true } });
    expect(inHoursOfUndo(waiting)).toMatchObject(hours);
  });
});

describe('a row that others keep from going back', () => {
  it('goes back once they have, though batches took them in the wrong order', async () => {
    await bench.sql('ALTER TABLE t ADD UNIQUE (new) DEFERRABLE');
    // Each row has what the row at the other end had.
    const job = jobOf(
      phaseOf('t', {
        transform: { kind: 'sql', set: { new: '-(26 - id)' } },
        batchSize: 100,
        maxBatchSize: 100,
      }),
    );
    await runToEnd(bench.target, job);
    const single = await undoRows(bench.target, job, [['3']]);
    expect(single).toEqual({ restored: [], kept: [['3']], unknown: [] });
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      { key: ['3'], status: 'open', sqlstate: '23505' },
    ]);
    const undone = { ...job, phase: { ...job.phase, batchSize: 4 } };
    expect(await undoToEnd(bench.target, undone)).toMatchObject({ restored: 25, kept: 0 });
    expect(await bench.sql('SELECT FROM t WHERE new <> -id')).toEqual([]);
    expect(await exceptionsOf(bench.target, job)).toMatchObject([{ key: ['3'], status: 'replayed' }]);
  });

  it('is tried again by an undo of the whole when it was kept by itself and is as it was migrated by then', async () => {
    const job = jobOf(phaseOf('t'));
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = 99 WHERE id IN (3, 4)');
    const single = await undoRows(bench.target, job, [['3'], ['4'], ['5']]);
    expect(single).toEqual({ restored: [['5']], kept: [['3'], ['4']], unknown: [] });
    await bench.sql('UPDATE t SET new = old WHERE id = 3');
    expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 24, kept: 1, rows: 25 });
    expect(await bench.sql('SELECT id, new FROM t WHERE new <> -id')).toEqual([{ id: 4, new: 99 }]);
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      { key: ['3'], kind: 'kept', status: 'replayed' },
      { key: ['4'], kind: 'kept', status: 'open' },
    ]);
    // Changed back still later, it can be restored by itself.
    await bench.sql('UPDATE t SET new = old WHERE id = 4');
    expect(await undoRows(bench.target, job, [['4']])).toMatchObject({ restored: [['4']] });
    expect(await undoSlice(bench.target, job)).toMatchObject({ done: true, restored: 25, kept: 0 });
  });

  it('stays as it is when a trigger suppresses the update, and is not called changed', async () => {
    const job = jobOf(phaseOf('t'));
    await runToEnd(bench.target, job);
    await bench.sql(
      `CREATE OR REPLACE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$`,
    );
    await bench.sql(
      'CREATE TRIGGER suppresses BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id = 4) EXECUTE FUNCTION suppress()',
    );
    expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 24, kept: 1 });
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      { key: ['4'], reason: expect.stringContaining('suppressed the write') },
    ]);
  });
});

describe("undo by the plan's own statement", () => {
  it('runs over the migrated keys only, in batches', async () => {
    const statement = `UPDATE t SET new = cardinality(:keys) + 1000 WHERE id IN (SELECT unnest(:keys)) -- ':keys $1'`;
    const job = jobOf(phaseOf('t', { undo: { kind: 'sql', statement }, where: 'id <= 12' }));
    await runToEnd(bench.target, job);
    expect(await undoToEnd(bench.target, job)).toMatchObject({ done: true, restored: 12, kept: 0 });
    expect(
      await bench.sql('SELECT new, count(*)::int AS rows FROM t WHERE id <= 12 GROUP BY 1 ORDER BY 1'),
    ).toEqual([
      { new: 1002, rows: 2 },
      { new: 1010, rows: 10 },
    ]);
    expect(await bench.sql('SELECT FROM t WHERE id > 12 AND new = -id')).toHaveLength(13);
  });

  it('sets a row aside on which the statement fails', async () => {
    const statement = 'UPDATE t SET new = 1 / (id - 9) WHERE id = ANY (:keys)';
    const job = jobOf(phaseOf('t', { undo: { kind: 'sql', statement } }));
    await runToEnd(bench.target, job);
    expect(await undoToEnd(bench.target, job)).toMatchObject({ done: true, restored: 24, kept: 1 });
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      { key: ['9'], kind: 'kept', sqlstate: '22012' },
    ]);
  });
});

it('a backfill without undo keeps no journal, and its undo leaves the rows as they are', async () => {
  const job = jobOf(phaseOf('t', { undo: { kind: 'none' } }));
  await runToEnd(bench.target, job);
  const after = await bench.contents('t');
  expect(await journalOf(job)).toBeUndefined();
  expect(await undoSlice(bench.target, job)).toMatchObject({ done: true, restored: 0, kept: 0 });
  expect(await bench.contents('t')).toEqual(after);
  await expect(undoRows(bench.target, job, [['1']])).rejects.toThrow('undo: none');
});

it('looks journalled rows up by their keys, also when the journal was last analysed while it was small', async () => {
  const rows = 3_000;
  await bench.sql('INSERT INTO t SELECT n, n, -n FROM generate_series(26, $1::int) n', [rows]);
  const job = jobOf(phaseOf('t', { batchSize: 100, maxBatchSize: 100 }));
  await runSlice(bench.target, job, { untilMs: 0 });
  const journal = (await journalOf(job)) ?? expect.fail('there is no journal');
  await bench.sql(`ANALYZE ${journal}`);
  await runToEnd(bench.target, job);
  const before = await fetchedFrom(journal);

  // Sessions publish what they have counted when they end.
  const target = createPostgresTarget({ name: 'bench', url: bench.url, poolSize: 1 });
  const [backend] = await target.session({}, async (session) => {
    const found = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return found.rows;
  });
  await undoToEnd(target, job);
  await target.close();
  const after = await until(
    async () => {
      const gone = await bench.sql('SELECT FROM pg_stat_activity WHERE pid = $1', [backend?.pid]);
      return gone.length === 0 ? await fetchedFrom(journal) : undefined;
    },
    { what: 'the end of the session' },
  );
  expect(after - before).toBeGreaterThanOrEqual(rows);
  expect(after - before).toBeLessThan(rows * 6);
});

/** The backfill's journal with its schema; undefined when it has none. */
async function journalOf({ runId }: BackfillJob): Promise<string | undefined> {
  const [found] = await bench.sql<{ journal: string | null }>(
    `SELECT to_regclass('cutover.journal_' || id)::text AS journal FROM cutover.checkpoint WHERE run_id = $1`,
    [runId],
  );
  return found?.journal ?? undefined;
}

async function fetchedFrom(journal: string): Promise<number> {
  const [found] = await bench.sql<{ fetched: number }>(
    'SELECT idx_tup_fetch::int AS fetched FROM pg_stat_user_tables WHERE relid = $1::regclass',
    [journal],
  );
  return found?.fetched ?? 0;
}
