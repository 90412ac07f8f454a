import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defineTransform, migrated } from '../../../src/engine/transform/transform.ts';
import { type Bench, jobOf, ODD_SETTINGS, openBench, phaseOf, runToEnd, transformJob } from '../harness.ts';
import { countsOf, verifyJobOf, verifyToEnd } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench(ODD_SETTINGS);
  await bench.sql(`CREATE TYPE mood AS ENUM ('sad', 'happy')`);
  await bench.sql('CREATE DOMAIN amount AS numeric(10,2) CHECK (VALUE >= 0)');
  await bench.sql('CREATE TYPE pair AS (name text, n numeric)');
  await bench.sql('CREATE TYPE odd_pair AS (name text, j json)');
  await bench.sql(
    `CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
  );
});
afterAll(() => bench.close());

type Kind = {
  type: string;
  /** A value, in SQL. */
  value: string;
  /** Another that differs from it. */
  other: string;
  /** The same value, written in another way; `null` where there is none. */
  same: string | null;
};

const KINDS: Kind[] = [
  { type: 'smallint', value: '5', other: '6', same: null },
  { type: 'bigint', value: '9007199254740993', other: '9007199254740992', same: null },
  { type: 'numeric', value: '1.5', other: '1.51', same: '1.500' },
  { type: 'numeric(8,2)', value: '1.239', other: '1.23', same: '1.24' },
  { type: 'real', value: '0.1', other: '0.1000001', same: null },
  { type: 'double precision', value: `'NaN'::float8`, other: '0', same: null },
  { type: 'boolean', value: 'true', other: 'false', same: null },
  { type: 'text', value: `'Straße 🙂'`, other: `'strasse'`, same: null },
  { type: 'text COLLATE ignore_case', value: `'Anna'`, other: `'anna'`, same: null },
  { type: 'varchar(5)', value: `'abcde'`, other: `'abcd'`, same: null },
  { type: 'char(5)', value: `'ab'`, other: `'ac'`, same: `'ab  '` },
  { type: 'name', value: `'ab'`, other: `'ac'`, same: null },
  { type: 'bytea', value: `'\\x00ff'::bytea`, other: `'\\x00fe'::bytea`, same: null },
  { type: 'uuid', value: `'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid`, other: 'NULL', same: null },
  { type: 'date', value: `'2025-02-28'::date`, other: `'2025-03-01'::date`, same: null },
  {
    type: 'timestamptz',
    value: `'2025-01-15 10:30:00.000001+00'::timestamptz`,
    other: `'2025-01-15 10:30:00+00'::timestamptz`,
    same: `'2025-01-15 12:30:00.000001+02'::timestamptz`,
  },
  { type: 'timestamp', value: `'2025-01-15 10:30'::timestamp`, other: `'infinity'::timestamp`, same: null },
  { type: 'interval', value: `'1 month'::interval`, other: `'30 days'::interval`, same: null },
  { type: 'json', value: `'{"a": 1}'::json`, other: `'{"a": 2}'::json`, same: null },
  {
    type: 'jsonb',
    value: `'{"a": 1, "b": [null]}'::jsonb`,
    other: `'{"a": 1}'::jsonb`,
    same: `'{"b":[null],"a":1.0}'::jsonb`,
  },
  { type: 'json[]', value: `ARRAY['{}'::json]`, other: `ARRAY['[]'::json]`, same: null },
  { type: 'int[]', value: 'ARRAY[1,2]', other: 'ARRAY[2,1]', same: null },
  {
    type: 'text[]',
    value: `ARRAY['a', NULL, 'NULL', '"']`,
    other: `ARRAY['a', NULL, NULL, '"']`,
    same: null,
  },
  { type: 'point', value: 'point(1,2)', other: 'point(1,3)', same: null },
  // Its own equality compares areas.
  { type: 'box', value: `'(1,1),(0,0)'::box`, other: `'(3,1),(2,0)'::box`, same: null },
  { type: 'xml', value: `'<a/>'::xml`, other: `'<b/>'::xml`, same: null },
  { type: 'inet', value: `'10.0.0.1/32'::inet`, other: `'10.0.0.1/24'::inet`, same: `'10.0.0.1'::inet` },
  {
    type: 'tsvector',
    value: `to_tsvector('simple', 'a b')`,
    other: `to_tsvector('simple', 'a c')`,
    same: null,
  },
  { type: 'int4range', value: `'[1,3)'::int4range`, other: `'[1,4)'::int4range`, same: `'[1,2]'::int4range` },
  { type: 'mood', value: `'happy'::mood`, other: `'sad'::mood`, same: null },
  { type: 'amount', value: '5.005', other: '5', same: '5.01' },
  { type: 'pair', value: `ROW('a', 1.5)::pair`, other: `ROW('a', NULL)::pair`, same: `ROW('a', 1.50)::pair` },
  { type: 'odd_pair', value: `ROW('a', '{}')::odd_pair`, other: `ROW('a', '[]')::odd_pair`, same: null },
];

/** Rows 1 to 6; the third is NULL, the fifth gets another value, the sixth the same in other words. */
async function fillAndTamper({ type, value, other, same }: Kind, backfill: () => ReturnType<typeof jobOf>) {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql(`CREATE TABLE t (id int PRIMARY KEY, old ${type}, new ${type})`);
  await bench.sql(`INSERT INTO t (id, old) SELECT n, ${value} FROM generate_series(1, 6) n`);
  await bench.sql('UPDATE t SET old = NULL WHERE id = 3');
  const job = backfill();
  expect(await runToEnd(bench.target, job)).toMatchObject({ processed: 6, migrated: 6 });
  await bench.sql(`UPDATE t SET new = ${other} WHERE id = 5`);
  if (same !== null) await bench.sql(`UPDATE t SET new = ${same} WHERE id = 6`);
  return job;
}

describe.each(KINDS)('values of the type $type ($value)', (kind) => {
  it('are compared where SQL derives them', async () => {
    const { value } = kind;
    const set = { new: `CASE WHEN old IS NOT NULL THEN ${value} END` };
    const job = await fillAndTamper(kind, () => jobOf(phaseOf('t', { transform: { kind: 'sql', set } })));
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(6, { repaired: 1 }));
    expect(await verifyToEnd(bench.target, verifyJobOf(job, {}, { attempt: 'second' }))).toEqual(countsOf(6));
  });

  it('are compared where TypeScript derives them', async () => {
    const copy = defineTransform({
      name: 'copy',
      version: 1,
      reads: ['old'],
      writes: ['new'],
      transform: ({ old }) => migrated({ new: old }),
    });
    const job = await fillAndTamper(kind, () => transformJob('t', copy));
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(6, { repaired: 1 }));
    expect(await verifyToEnd(bench.target, verifyJobOf(job, {}, { attempt: 'second' }))).toEqual(countsOf(6));
  });
});

/** Key columns, and a query of some keys, of which each needs some care. */
const KEYS: [what: string, columns: string, rows: string][] = [
  ['uuids', 'k uuid PRIMARY KEY', `SELECT md5(n::text)::uuid FROM generate_series(1, 40) n`],
  [
    'texts with quotes, blanks and look-alikes of NULL',
    'k text PRIMARY KEY',
    `VALUES (''), (' '), ('NULL'), ('a"b'), ('a''b'), ('a\\b'), ('{1,2}'), ('a,b'), ('Ä'), ('🙂'), (E'tab\\t'), ('$1')`,
  ],
  [
    'texts whose case counts for nothing',
    'k text COLLATE ignore_case PRIMARY KEY',
    `VALUES ('a'), ('B'), ('c'), ('Z'), ('y')`,
  ],
  [
    'numbers that can be spelt in several ways',
    'k numeric PRIMARY KEY',
    `VALUES (1.10), (1.2), (-0.5), ('NaN'), (12345678901234567890.1)`,
  ],
  [
    'composites of a text, a time and a number',
    'a text, b timestamptz, c int, PRIMARY KEY (c, a, b)',
    `SELECT 'a' || n % 3, '2025-01-01'::timestamptz + n * interval '1 us', n % 5 FROM generate_series(1, 40) n`,
  ],
];

describe.each(KEYS)('rows whose keys are %s', (_, columns, rows) => {
  it.each(['an SQL expression', 'a TypeScript function'])('are found by %s, each of them', async (how) => {
    await bench.sql('DROP TABLE IF EXISTS t');
    await bench.sql(`CREATE TABLE t (old int DEFAULT 1, new int, ${columns})`);
    const names = columns.includes('PRIMARY KEY (') ? 'a, b, c' : 'k';
    await bench.sql(`INSERT INTO t (${names}) ${rows}`);
    const copy = defineTransform({
      name: 'copy',
      version: 1,
      reads: ['old'],
      writes: ['new'],
      transform: ({ old }) => migrated({ new: old }),
    });
    const job = how === 'an SQL expression' ? jobOf(phaseOf('t')) : transformJob('t', copy);
    const { processed } = await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = 2');
    const options = { rowsPerRange: 7 };
    const counts = await verifyToEnd(bench.target, verifyJobOf(job, { batchSize: 3 }), options);
    expect(counts).toEqual(countsOf(processed, { repaired: processed }));
    expect(await bench.sql('SELECT FROM t WHERE new <> 1')).toEqual([]);
  });
});
