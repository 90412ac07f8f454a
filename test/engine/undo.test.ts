import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runSlice } from '../../src/engine/backfill.ts';
import { defineTransform, migrated } from '../../src/engine/transform.ts';
import { undoRows, undoSlice } from '../../src/engine/undo.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import { until } from '../support/until.ts';
import {
  type Bench,
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

  it('also undoes a backfill that is only half done, in slices', async () => {
    const before = await bench.contents('t');
    const job = jobOf(phaseOf('t'));
    await runSlice(bench.target, job, { untilMs: 0 });
    await runSlice(bench.target, job, { untilMs: 0 });
    const first = await undoSlice(bench.target, job, { untilMs: 0 });
    expect(first).toEqual({ done: false, restored: 10, kept: 0 });
    expect(await undoToEnd(bench.target, job, { untilMs: 0 })).toEqual({ done: true, restored: 20, kept: 0 });
    expect(await bench.contents('t')).toEqual(before);
  });

  it('has nothing to do for a backfill that never began, and does nothing twice', async () => {
    const job = jobOf(phaseOf('t'));
    expect(await undoSlice(bench.target, job)).toEqual({ done: true, restored: 0, kept: 0 });
    await runToEnd(bench.target, job);
    await undoToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = 5');
    expect(await undoSlice(bench.target, job)).toEqual({ done: true, restored: 25, kept: 0 });
    expect(await bench.sql('SELECT DISTINCT new FROM t')).toEqual([{ new: 5 }]);
  });

  it('keeps and lists rows that the application changed or deleted since', async () => {
    const job = jobOf(phaseOf('t'));
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = 77 WHERE id = 3');
    await bench.sql('UPDATE t SET old = 88 WHERE id = 4');
    await bench.sql('DELETE FROM t WHERE id = 5');
    expect(await undoToEnd(bench.target, job)).toEqual({ done: true, restored: 23, kept: 2 });
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
    expect(await undoToEnd(bench.target, job)).toEqual({ done: true, restored: 24, kept: 1 });
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
    const undone = () => undoRows(bench.target, job, [['2'], ['3'], ['20'], ['x']]);
    expect(await undone()).toEqual({ restored: [['2']], kept: [['3']], unknown: [['20'], ['x']] });
    expect(await undone()).toEqual({ restored: [], kept: [['3']], unknown: [['2'], ['20'], ['x']] });
    expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: 25 });
    expect(await bench.sql('SELECT id, new FROM t WHERE new <> id ORDER BY id')).toEqual([
      { id: 2, new: -2 },
      { id: 3, new: 77 },
    ]);
    expect(await undoToEnd(bench.target, job)).toEqual({ done: true, restored: 24, kept: 1 });
    await expect(undoRows(bench.target, job, [['1', '2']])).rejects.toThrow('has 1 values (id)');
  });
});

describe("undo by the plan's own statement", () => {
  it('runs over the migrated keys only, in batches', async () => {
    const statement = `UPDATE t SET new = cardinality(:keys) + 1000 WHERE id IN (SELECT unnest(:keys)) -- ':keys $1'`;
    const job = jobOf(phaseOf('t', { undo: { kind: 'sql', statement }, where: 'id <= 12' }));
    await runToEnd(bench.target, job);
    expect(await undoToEnd(bench.target, job)).toEqual({ done: true, restored: 12, kept: 0 });
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
    expect(await undoToEnd(bench.target, job)).toEqual({ done: true, restored: 24, kept: 1 });
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      { key: ['9'], kind: 'kept', sqlstate: '22012' },
    ]);
  });
});

it('a backfill without undo keeps no journal, and its undo leaves the rows as they are', async () => {
  const job = jobOf(phaseOf('t', { undo: { kind: 'none' } }));
  await runToEnd(bench.target, job);
  const after = await bench.contents('t');
  expect(await bench.sql('SELECT FROM cutover.journal WHERE run_id = $1', [job.runId])).toEqual([]);
  expect(await undoSlice(bench.target, job)).toEqual({ done: true, restored: 0, kept: 0 });
  expect(await bench.contents('t')).toEqual(after);
  await expect(undoRows(bench.target, job, [['1']])).rejects.toThrow('undo: none');
});

it('looks journalled rows up by their keys, also when the journal was last analysed before their run', async () => {
  const rows = 3_000;
  await bench.sql('INSERT INTO t SELECT n, n, -n FROM generate_series(26, $1::int) n', [rows]);
  const batches = { batchSize: 100 };
  await runToEnd(bench.target, jobOf(phaseOf('t', batches)));
  await bench.sql('ANALYZE cutover.journal');
  const job = jobOf(phaseOf('t', { ...batches, transform: { kind: 'sql', set: { new: 'old + 1' } } }));
  await runToEnd(bench.target, job);
  const { fetched: before } = await journalStatistics();

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
      return gone.length === 0 ? await journalStatistics() : undefined;
    },
    { what: 'the end of the session' },
  );
  expect(after.fetched - before).toBeGreaterThanOrEqual(rows);
  expect(after.fetched - before).toBeLessThan(rows * 6);
});

async function journalStatistics(): Promise<{ fetched: number }> {
  const [found] = await bench.sql<{ fetched: number }>(
    `SELECT idx_tup_fetch::int AS fetched FROM pg_stat_user_tables WHERE relid = 'cutover.journal'::regclass`,
  );
  if (!found) throw new Error('there is no journal');
  return found;
}
