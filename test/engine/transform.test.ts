import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import {
  ambiguous,
  defineTransform,
  failed,
  migrated,
  type RowOutcome,
  type RowValue,
  skipped,
  TransformRegistry,
} from '../../src/engine/transform/transform.ts';
import { type Bench, exceptionsOf, ODD_SETTINGS, openBench, runToEnd, transformJob } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench(ODD_SETTINGS);
});
afterAll(() => bench.close());

/** Runs the function over a table of these columns with one row of these values; returns what the row holds then. */
async function runOver(
  columns: Record<string, string>,
  values: Record<string, unknown>,
  transform: (row: Record<string, RowValue>) => unknown,
) {
  const names = Object.keys(columns);
  const declared = names.map((name) => `"${name}" ${columns[name]}`);
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql(`CREATE TABLE t (id int PRIMARY KEY, ${declared.join(', ')})`);
  const given = { id: 1, ...values };
  const columnList = Object.keys(given).map((name) => `"${name}"`);
  const placeholders = Object.keys(given).map((_, i) => `$${i + 1}`);
  await bench.sql(`INSERT INTO t (${columnList}) VALUES (${placeholders})`, Object.values(given));
  const definition = defineTransform({
    name: 'under-test',
    version: 1,
    reads: ['id', ...names],
    writes: names,
    transform: (row) => transform(row) as RowOutcome,
  });
  const job = transformJob('t', definition);
  const counts = await runToEnd(bench.target, job);
  const [row] = await bench.sql<{ row: Record<string, unknown> }>('SELECT to_jsonb(t) AS row FROM t');
  return { counts, row: row?.row, exceptions: await exceptionsOf(bench.target, job) };
}

describe('a transform sees', () => {
  it.each<[string, string, RowValue]>([
    ['jsonb', '{"a": [1, null, "é"]}', { a: [1, null, 'é'] }],
    ['json', '"text"', 'text'],
    ['smallint', '-3', -3],
    ['integer', '2147483647', 2147483647],
    ['bigint', '9223372036854775807', '9223372036854775807'],
    ['numeric', '12345678901234567890.10', '12345678901234567890.10'],
    ['double precision', '0.1', '0.1'],
    ['boolean', 'f', false],
    ['text', ' a ', ' a '],
    ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['timestamptz', '2025-01-15 12:30:00+02', '2025-01-15T10:30:00Z'],
    ['timestamptz', '2025-01-15 10:30:00.120+00', '2025-01-15T10:30:00.12Z'],
    ['timestamptz', '2025-01-15 10:30:00.000001+00', '2025-01-15T10:30:00.000001Z'],
    ['timestamptz', 'infinity', 'infinity'],
    ['timestamp', '2025-01-15 10:30:00.5', '2025-01-15T10:30:00.5'],
    ['date', '2025-01-15', '2025-01-15'],
    ['int[]', '{1,2}', '{1,2}'],
  ])('a %s %s as %j, whatever the time zone of the role', async (type, text, expected) => {
    const seen: unknown[] = [];
    await runOver({ value: type, none: type }, { value: text }, (row) => {
      seen.push(row);
      return skipped();
    });
    expect(seen).toEqual([{ id: 1, value: expected, none: null }]);
  });
});

describe('a transform writes', () => {
  it.each<[string, unknown, unknown]>([
    ['jsonb', { a: [1, undefined, 'x'], gone: undefined }, { a: [1, null, 'x'] }],
    ['jsonb', 'text', 'text'],
    ['jsonb', [], []],
    ['text', null, null],
    ['jsonb', false, false],
    ['integer', 5, 5],
    ['integer', '5', 5],
    ['bigint', 2n ** 40n, 2 ** 40],
    ['numeric(5,2)', '1.005', 1.01],
    ['boolean', true, true],
    ['text', 'a"\\{},é🙂\n', 'a"\\{},é🙂\n'],
    ['timestamptz', new Date('2025-01-15T10:30:00.123Z'), '2025-01-15T19:30:00.123+09:00'],
    ['timestamptz', '2025-01-15T10:30:00.000001Z', '2025-01-15T19:30:00.000001+09:00'],
    ['text[]', ['a', null, 'NULL', '"', '\\', '{,}', ''], ['a', null, 'NULL', '"', '\\', '{,}', '']],
    [
      'int[]',
      [
        [1, 2],
        [3, 4],
      ],
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['bytea', new Uint8Array([0, 255]), '\\000\\377'],
  ])('into %s %o', async (type, given, expected) => {
    const { counts, row, exceptions } = await runOver({ value: type }, {}, () => migrated({ value: given }));
    expect(exceptions).toEqual([]);
    expect(counts).toMatchObject({ processed: 1, migrated: 1 });
    expect(row).toMatchObject({ value: expected });
  });

  it.each<[string, unknown, string]>([
    [
      'jsonb',
      { n: Number.NaN },
      'column "value" (jsonb): the value cannot be written as JSON: JSON has no number NaN',
    ],
    ['jsonb', { n: 1n }, 'cannot be written as JSON'],
    ['jsonb', () => 1, 'a function cannot be written as JSON'],
    ['jsonb', 'a\0', 'unsupported Unicode escape sequence'],
    ['text', { a: 1 }, 'column "value" (text): an object can be written to json and jsonb columns only'],
    ['text', ['a'], 'an array can be written to json, jsonb and array columns only'],
    ['text', 'a\0b', 'NUL character'],
    ['text', '\ud83d', 'half a surrogate pair'],
    ['text', Symbol('x'), 'a symbol cannot be written to a column'],
    ['timestamptz', new Date('no'), 'the date is invalid'],
    ['integer', 1.5, 'invalid input syntax for type integer: "1.5"'],
    ['integer', true, 'invalid input syntax for type integer: "true"'],
    ['integer', 99999999999, 'out of range'],
    ['int NOT NULL DEFAULT 1', null, 'violates not-null constraint'],
  ])('nothing into %s from %o, and says why', async (type, given, reason) => {
    const { counts, exceptions } = await runOver({ value: type, other: 'int' }, { other: 1 }, () =>
      migrated({ value: given }),
    );
    expect(counts).toMatchObject({ processed: 1, migrated: 0, failed: 1 });
    expect(exceptions).toMatchObject([
      { key: ['1'], kind: 'failed', reason: expect.stringContaining(reason) },
    ]);
  });
});

describe('a row fails alone', () => {
  it.each<[string, () => unknown, string]>([
    [
      'throws',
      () => {
        throw new Error('no such provider');
      },
      'the transform threw: no such provider',
    ],
    [
      'throws no error',
      () => {
        throw 'odd\0';
      },
      'the transform threw: odd\ufffd',
    ],
    ['returns nothing', () => undefined, 'the transform returned undefined; it must return migrated(values)'],
    [
      'returns values alone',
      () => ({ value: 1 }),
      'the transform returned an object with value; it must return',
    ],
    ['returns a list', () => [], 'the transform returned an array'],
    ['returns a promise', async () => migrated({ value: 1 }), 'the transform returned a promise'],
    [
      'returns a promise that rejects',
      async () => {
        throw new Error('late');
      },
      'the transform returned a promise',
    ],
    ['migrates nothing', () => migrated({}), 'migrated() without any value'],
    [
      'migrates no object',
      () => ({ outcome: 'migrated', values: 3 }),
      'takes an object of column values, not a number',
    ],
    [
      'writes other columns',
      () => migrated({ id: 3 }),
      'the transform wrote "id", which it does not declare; it writes value',
    ],
    ['is ambiguous without a reason', () => ({ outcome: 'ambiguous' }), 'ambiguous without a reason'],
    ['suggests what is not JSON', () => ambiguous('two ways', 1n), 'ambiguous (two ways), with a suggestion'],
    ['fails', () => failed('refunded twice'), 'refunded twice'],
  ])('whose transform %s', async (_, transform, reason) => {
    const { counts, exceptions } = await runOver({ value: 'int' }, {}, transform);
    expect(counts).toEqual({ processed: 1, migrated: 0, skipped: 0, ambiguous: 0, failed: 1 });
    expect(exceptions).toMatchObject([{ kind: 'failed', reason: expect.stringContaining(reason) }]);
  });

  it('and an ambiguous one is set aside with its suggestion, unwritten', async () => {
    const suggestion = { provider: 'shopify\0', odd: '\ud83d' };
    const { counts, exceptions, row } = await runOver({ value: 'int' }, { value: 4 }, () =>
      ambiguous('two integrations match', suggestion),
    );
    expect(counts).toEqual({ processed: 1, migrated: 0, skipped: 0, ambiguous: 1, failed: 0 });
    expect(row).toMatchObject({ value: 4 });
    expect(exceptions).toMatchObject([
      {
        kind: 'ambiguous',
        reason: 'two integrations match',
        suggestion: { provider: 'shopify\ufffd', odd: '\ufffd' },
      },
    ]);
  });
});

describe('a prefetch', () => {
  beforeEach(async () => {
    await bench.sql('DROP TABLE IF EXISTS t, names');
    await bench.sql('CREATE TABLE t (id int PRIMARY KEY, name_id int, name text)');
    await bench.sql('INSERT INTO t SELECT n, n % 4 FROM generate_series(1, 25) n');
    await bench.sql(
      `CREATE TABLE names AS SELECT n AS id, 'name ' || n AS name FROM generate_series(0, 3) n`,
    );
  });

  const withPrefetch = (sql: string) => {
    const batches: number[] = [];
    const transform = defineTransform({
      name: 'named',
      version: 1,
      reads: ['name_id'],
      writes: ['name'],
      prefetch: async (rows, query) => {
        batches.push(rows.length);
        const found = await query<{ id: number; name: string }>(sql, [rows.map(({ name_id }) => name_id)]);
        return new Map(found.map(({ id, name }) => [id, name]));
      },
      transform: ({ name_id }, names) => migrated({ name: names.get(Number(name_id)) ?? null }),
    });
    return { transform, batches };
  };

  it('is asked once per batch, and its answer handed to each row', async () => {
    const { transform, batches } = withPrefetch('SELECT id, name FROM names WHERE id = ANY ($1::int[])');
    expect(await runToEnd(bench.target, transformJob('t', transform))).toMatchObject({ migrated: 25 });
    expect(batches).toEqual([10, 10, 5]);
    expect(await bench.sql(`SELECT FROM t WHERE name IS DISTINCT FROM 'name ' || name_id`)).toEqual([]);
  });

  it('cannot write', async () => {
    const { transform } = withPrefetch('DELETE FROM names WHERE id = ANY ($1::int[]) RETURNING *');
    await expect(runToEnd(bench.target, transformJob('t', transform))).rejects.toThrow(
      'the prefetch of transform named@1 failed: cannot execute DELETE in a read-only transaction',
    );
    expect(await bench.sql('SELECT FROM names')).toHaveLength(4);
  });
});

describe('a prefetch that never answers', () => {
  it('ends with the reason when the slice is aborted', async () => {
    await bench.sql('DROP TABLE IF EXISTS t');
    await bench.sql('CREATE TABLE t (id int PRIMARY KEY, x int)');
    await bench.sql('INSERT INTO t SELECT n FROM generate_series(1, 5) n');
    const abort = new AbortController();
    const transform = defineTransform({
      name: 'silent',
      version: 1,
      reads: [],
      writes: ['x'],
      prefetch: () => {
        abort.abort(new Error('rolled back'));
        return new Promise<never>(() => {});
      },
      transform: () => migrated({ x: 1 }),
    });
    const slice = runSlice(bench.target, transformJob('t', transform), { signal: abort.signal });
    await expect(slice).rejects.toThrow('rolled back');
  });
});

describe('the registry', () => {
  const transform = defineTransform({
    name: 'a',
    version: 1,
    reads: [],
    writes: ['x'],
    transform: () => skipped(),
  });

  it('holds versions side by side, and names what it has when asked for another', () => {
    const registry = new TransformRegistry([transform, { ...transform, version: 2 }]);
    expect(registry.lookup('a', 2).version).toBe(2);
    expect(() => registry.lookup('a', 3)).toThrow('this worker has no transform a@3; registered: a@1, a@2');
    expect(() => new TransformRegistry().lookup('b', 1)).toThrow('registered: none');
    expect(() => registry.register(transform)).toThrow('a@1 is registered twice');
  });

  it('takes no transform without a version or a column to write', () => {
    expect(() => defineTransform({ ...transform, version: 1.5 })).toThrow(
      'the version must be a whole number',
    );
    expect(() => defineTransform({ ...transform, writes: [] })).toThrow('writes no column');
  });
});
