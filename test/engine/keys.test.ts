import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, countWrites, jobOf, openBench, phaseOf, runToEnd, undoToEnd } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

/** Key columns, and a query of at least twelve keys, of which some need care. */
const KEYS: Record<string, { columns: string; rows: string }> = {
  'negative and huge bigint': {
    columns: 'k bigint PRIMARY KEY',
    rows: `SELECT 9223372036854775807 - n FROM generate_series(0, 6) n
           UNION SELECT -9223372036854775808 + n FROM generate_series(0, 6) n UNION SELECT 0`,
  },
  uuid: {
    columns: 'k uuid PRIMARY KEY',
    rows: `SELECT md5(n::text)::uuid FROM generate_series(1, 23) n`,
  },
  'text with quotes, blanks, NULL look-alikes and emoji': {
    columns: 'k text PRIMARY KEY',
    rows: `VALUES (''), (' '), ('NULL'), ('a"b'), ('a''b'), ('a\\b'), ('{1,2}'), ('a,b'), ('Ä'), ('z'), ('Z'), ('🙂'), (E'tab\\t'), ('$1')`,
  },
  'text under a linguistic collation': {
    columns: `k text COLLATE "und-x-icu" PRIMARY KEY`,
    rows: `VALUES ('a'), ('B'), ('c'), ('Ä'), ('ä'), ('z'), ('Z'), ('é'), ('e'), ('E'), ('-'), ('_a'), ('10'), ('9')`,
  },
  'text under a collation that ignores case': {
    columns: `k text COLLATE ignore_case PRIMARY KEY`,
    rows: `VALUES ('a'), ('B'), ('c'), ('Ä'), ('z'), ('Y'), ('é'), ('E'), ('-'), ('_a'), ('10'), ('9'), ('f')`,
  },
  'char(n) with blanks at the end': {
    columns: 'k char(5) PRIMARY KEY',
    rows: `SELECT chr(96 + n) FROM generate_series(1, 15) n`,
  },
  'timestamptz with microseconds': {
    columns: 'k timestamptz PRIMARY KEY',
    rows: `SELECT '2025-10-26 00:59:59.999990+00'::timestamptz + n * interval '1 microsecond' FROM generate_series(0, 20) n
           UNION SELECT 'infinity' UNION SELECT '-infinity' UNION SELECT '0044-03-15 12:00:00+00 BC'`,
  },
  'numeric beyond double precision': {
    columns: 'k numeric PRIMARY KEY',
    rows: `SELECT 12345678901234567890.000000000001 + n * 0.000000000001 FROM generate_series(1, 12) n
           UNION SELECT -0.5 UNION SELECT 'NaN' UNION SELECT 1.10`,
  },
  'double precision': {
    columns: 'k double precision PRIMARY KEY',
    rows: `SELECT 0.1 + n * 1e-16 FROM generate_series(1, 12) n UNION SELECT 'Infinity' UNION SELECT 'NaN'`,
  },
  date: {
    columns: 'k date PRIMARY KEY',
    rows: `SELECT '2024-02-25'::date + n FROM generate_series(0, 12) n`,
  },
  bytea: {
    columns: 'k bytea PRIMARY KEY',
    rows: `SELECT decode(md5(n::text), 'hex') FROM generate_series(1, 12) n`,
  },
  enum: { columns: 'k mood PRIMARY KEY', rows: `SELECT unnest(enum_range(NULL::mood))` },
  'a domain': { columns: 'k short_code PRIMARY KEY', rows: `SELECT 'c' || n FROM generate_series(1, 15) n` },
  'int and text together': {
    columns: 'a int, k text COLLATE "und-x-icu", PRIMARY KEY (k, a)',
    rows: `SELECT n % 3, chr(97 + n / 3) FROM generate_series(0, 26) n`,
  },
  'three columns of mixed types': {
    columns: 'a uuid, b timestamptz, c numeric(10, 2), PRIMARY KEY (a, b, c)',
    rows: `SELECT md5((n % 2)::text)::uuid, '2025-01-01'::timestamptz + (n % 3) * interval '1 second', n / 6 - 1.5
             FROM generate_series(0, 23) n`,
  },
};

describe('a backfill pages by', () => {
  beforeAll(async () => {
    await bench.sql(
      `CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
    );
    const moods = Array.from({ length: 13 }, (_, i) => `'${String.fromCharCode(122 - i)}'`);
    await bench.sql(`CREATE TYPE mood AS ENUM (${moods.join(', ')})`);
    await bench.sql(`CREATE DOMAIN short_code AS varchar(5) CHECK (VALUE <> '')`);
  });

  it.each(Object.keys(KEYS))('%s, each row once, and back', async (name) => {
    const key = KEYS[name] ?? expect.fail(name);
    await bench.sql('DROP TABLE IF EXISTS t');
    await bench.sql(
      `CREATE TABLE t (${key.columns}, old int DEFAULT 7, new int, writes int NOT NULL DEFAULT 0)`,
    );
    const columns = key.columns.includes('PRIMARY KEY (')
      ? key.columns.replace(/, PRIMARY.*/, '')
      : key.columns;
    const names = columns.split(/, (?=\w+ )/).map((column) => column.split(' ')[0]);
    const rows = await bench.sql(`INSERT INTO t (${names.join(', ')}) ${key.rows} RETURNING 1`);
    await countWrites(bench, 't');
    const before = await bench.contents('t');

    const job = jobOf(phaseOf('t', { batchSize: 4 }));
    const counts = await runToEnd(bench.target, job);

    expect(counts).toMatchObject({ processed: rows.length, migrated: rows.length, failed: 0 });
    expect(await bench.sql('SELECT DISTINCT new, writes FROM t')).toEqual([{ new: 7, writes: 1 }]);
    expect(await undoToEnd(bench.target, job)).toEqual({
      done: true,
      restored: rows.length,
      kept: 0,
      rows: rows.length,
    });
    await bench.sql('ALTER TABLE t DISABLE TRIGGER counts; UPDATE t SET writes = 0');
    expect(await bench.contents('t')).toEqual(before);
  });

  it('columns that the plan names instead of the primary key', async () => {
    await bench.sql('DROP TABLE IF EXISTS t');
    await bench.sql(
      'CREATE TABLE t (id int PRIMARY KEY, slug text NOT NULL UNIQUE, old int DEFAULT 7, new int)',
    );
    await bench.sql(`INSERT INTO t SELECT n, 's' || (100 - n) FROM generate_series(1, 30) n`);
    const job = jobOf(phaseOf('t', { key: ['slug'], batchSize: 7 }));
    expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: 30 });
    expect(await bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM 7')).toEqual([]);
  });

  it('no key that may be NULL, because that it is not was never validated', async () => {
    await bench.sql('CREATE TABLE loose (code int UNIQUE, old text, new text)');
    await bench.sql('INSERT INTO loose SELECT nullif(n, 1), n FROM generate_series(1, 20) n');
    await bench.sql('ALTER TABLE loose ADD CONSTRAINT known NOT NULL code NOT VALID');
    const job = jobOf(phaseOf('loose'));
    await expect(runToEnd(bench.target, job)).rejects.toThrow('rows of public.loose may have no key: "code"');
    await bench.sql('UPDATE loose SET code = 1 WHERE code IS NULL');
    await bench.sql('ALTER TABLE loose VALIDATE CONSTRAINT known');
    expect(await runToEnd(bench.target, job)).toMatchObject({ processed: 20, migrated: 20 });
  });

  it('the keys of a partitioned table', async () => {
    await bench.sql('DROP TABLE IF EXISTS t');
    await bench.sql(`CREATE TABLE t (id int, region text, old int DEFAULT 7, new int, PRIMARY KEY (region, id))
      PARTITION BY LIST (region)`);
    await bench.sql(`CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('eu')`);
    await bench.sql('CREATE TABLE t_rest PARTITION OF t DEFAULT');
    await bench.sql(`INSERT INTO t SELECT n, CASE n % 3 WHEN 0 THEN 'eu' WHEN 1 THEN 'us' ELSE 'as' END
      FROM generate_series(1, 40) n`);
    const job = jobOf(phaseOf('t', { batchSize: 7 }));
    expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: 40 });
    expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 40, kept: 0 });
  });
});
