import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackfillPhase } from '../../src/domain/plan.ts';
import { preflightBackfill } from '../../src/engine/preflight/preflight.ts';
import { defineTransform, skipped, TransformRegistry } from '../../src/engine/transform/transform.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import type { Target } from '../../src/targets/target.ts';
import { uniqueName } from '../support/unique-name.ts';
import { type Bench, ODD_SETTINGS, openBench, phaseOf } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
  await bench.sql(`CREATE TABLE t (id int PRIMARY KEY, old int, new int, maybe int UNIQUE, slug text NOT NULL,
    twice int GENERATED ALWAYS AS (old * 2) STORED)`);
  await bench.sql('CREATE UNIQUE INDEX ON t (slug) WHERE old > 0');
  await bench.sql('CREATE TABLE pairs (a int, b int, old int, new int, PRIMARY KEY (a, b))');
  await bench.sql('CREATE TABLE keyless (old int, new int)');
  await bench.sql('CREATE VIEW seen AS SELECT * FROM t');
});
afterAll(() => bench.close());

const transform = defineTransform({
  name: 'known',
  version: 1,
  reads: ['old', 'added', 'unheard'],
  writes: ['new', 'strange'],
  transform: () => skipped(),
});

/** An earlier phase adds columns of the name `added`. */
const check = (table: string, given: Partial<BackfillPhase> = {}, target: Target = bench.target) =>
  preflightBackfill(target, phaseOf(table, given), new TransformRegistry([transform]), {
    intoIsPlanned: false,
    mayAdd: (column) => column === 'added',
  });

const bySql = (set: Record<string, string>) => ({ transform: { kind: 'sql', set } as const });

describe('preflight', () => {
  it('finds nothing wrong with a plan that can run, now or once its columns are there, and leaves no trace', async () => {
    const before = await bench.checksums();
    expect(await check('t', { where: 'new IS NULL -- not yet' })).toEqual([]);
    expect(
      await check('public.t', {
        ...bySql({ added: 'to_jsonb(old)' }),
        columns: { added: 'jsonb' },
        key: ['id'],
      }),
    ).toEqual([]);
    expect(
      await check('t', {
        undo: { kind: 'sql', statement: 'UPDATE t SET new = NULL WHERE id = ANY (:keys)' },
      }),
    ).toEqual([]);
    expect(await check('pairs')).toEqual([]);
    expect(await bench.checksums()).toEqual(before);
  });

  it.each<[string, string, Partial<BackfillPhase>, { path: string; problem: string }[]]>([
    ['a table that is not there', 'nowhere', {}, [{ path: 'table', problem: 'no table "nowhere"' }]],
    [
      'a redaction that would hide nothing, or the key',
      't',
      { redact: ['old', 'odl', 'id', 'added'], ...bySql({ added: '1' }), columns: { added: 'int' } },
      [
        { path: 'redact[1]', problem: 'no column "odl"' },
        { path: 'redact[2]', problem: '"id" is part of the key' },
      ],
    ],
    ['a table without a key', 'keyless', {}, [{ path: 'key', problem: 'no primary key' }]],
    ['a view', 'seen', {}, [{ path: 'key', problem: 'no primary key' }]],
    ['key columns that are not there', 't', { key: ['idd'] }, [{ path: 'key', problem: 'no column "idd"' }]],
    [
      'key columns that may be NULL',
      't',
      { key: ['maybe'] },
      [{ path: 'key', problem: '"maybe" may be NULL' }],
    ],
    [
      'key columns that are unique in part only',
      't',
      { key: ['slug'] },
      [{ path: 'key', problem: 'no unique index' }],
    ],
    [
      'columns written that are not there',
      't',
      bySql({ newer: '1' }),
      [{ path: 'transform.set', problem: 'writes "newer"' }],
    ],
    [
      'generated columns',
      't',
      bySql({ twice: '1' }),
      [{ path: 'transform.set', problem: 'which the database generates' }],
    ],
    [
      'a key that would change',
      't',
      bySql({ id: 'old' }),
      [{ path: 'transform.set', problem: 'part of the key' }],
    ],
    [
      'an expression that is no SQL',
      't',
      bySql({ new: 'old +' }),
      [{ path: 'transform.set.new', problem: 'syntax error' }],
    ],
    [
      'an expression of another type',
      't',
      bySql({ new: 'slug' }),
      [{ path: 'transform.set.new', problem: 'is of type text' }],
    ],
    [
      'an expression over unknown columns',
      't',
      bySql({ new: 'older' }),
      [{ path: 'transform.set.new', problem: '"older" does not exist' }],
    ],
    [
      'an expression over unknown columns beside one that is added first',
      't',
      { ...bySql({ new: 'added + older' }), columns: { added: 'int' } },
      [{ path: 'transform.set.new', problem: '"older" does not exist' }],
    ],
    [
      'a column that is not there, and that no earlier phase adds',
      't',
      { ...bySql({ ghost: 'old' }), columns: { ghost: 'int' } },
      [{ path: 'columns.ghost', problem: 'no earlier phase of the plan adds it' }],
    ],
    ['a condition that is none', 't', { where: 'old' }, [{ path: 'where', problem: 'must be type boolean' }]],
    [
      'an unknown type',
      't',
      { columns: { added: 'jsonc' } },
      [{ path: 'columns', problem: '"jsonc" does not exist' }],
    ],
    [
      'an undo statement for a key of several columns',
      'pairs',
      { undo: { kind: 'sql', statement: 'DELETE FROM pairs WHERE a = ANY (:keys)' } },
      [{ path: 'undo.statement', problem: 'several columns (a, b)' }],
    ],
    [
      'an undo statement that forgets the keys',
      't',
      { undo: { kind: 'sql', statement: 'UPDATE t SET new = NULL' } },
      [{ path: 'undo.statement', problem: 'does not use :keys' }],
    ],
    [
      'an undo statement with another parameter',
      't',
      { undo: { kind: 'sql', statement: 'UPDATE t SET new = :value WHERE id = ANY (:keys)' } },
      [{ path: 'undo.statement', problem: ':value' }],
    ],
    [
      'an undo statement that does not parse',
      't',
      { undo: { kind: 'sql', statement: 'UPDATE t SET new = WHERE id = ANY (:keys)' } },
      [{ path: 'undo.statement', problem: 'syntax error' }],
    ],
    [
      'a transform that is not registered',
      't',
      { transform: { kind: 'registered', name: 'known', version: 2, threads: 0 } },
      [{ path: 'transform', problem: 'no transform known@2; registered: known@1' }],
    ],
    [
      'columns of a transform that are neither there nor added',
      't',
      {
        transform: { kind: 'registered', name: 'known', version: 1, threads: 0 },
        columns: { added: 'text' },
      },
      [
        { path: 'transform', problem: 'reads "unheard"' },
        { path: 'transform', problem: 'writes "strange"' },
      ],
    ],
  ])('refuses %s', async (_, table, given, expected) => {
    const problems = await check(table, given);
    expect(problems).toEqual(
      expected.map(({ path, problem }) => ({
        path,
        problem: expect.stringContaining(problem),
        fix: expect.stringMatching(/\w{3}/),
      })),
    );
  });

  it('refuses a role that may not write, and a target that is read only', async () => {
    const role = uniqueName('role');
    await bench.sql(`CREATE ROLE "${role}" LOGIN PASSWORD 'secret'`);
    await bench.sql(`GRANT SELECT ON t TO "${role}"; GRANT UPDATE (old) ON t TO "${role}"`);
    const url = new URL(bench.url);
    url.username = role;
    url.password = 'secret';
    url.searchParams.set('options', `${ODD_SETTINGS} -c default_transaction_read_only=on`);
    const target = createPostgresTarget({ name: 'weak', url: url.href, poolSize: 1 });
    try {
      const problems = (await check('t', {}, target)).map(({ problem }) => problem);
      expect(problems).toEqual([
        'the target is set to read only (default_transaction_read_only)',
        "the target's role may not create the schema `cutover`, which holds the state of runs",
        `the target's role may not update "new" of public.t`,
        expect.stringContaining('permission denied'),
      ]);
    } finally {
      await target.close();
      await bench.sql(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
    }
  });

  it('refuses a role to which row-level security may hide rows', async () => {
    const role = uniqueName('role');
    await bench.sql(`CREATE ROLE "${role}" LOGIN PASSWORD 'secret'`);
    await bench.sql('CREATE TABLE guarded (id int PRIMARY KEY, old int, new int)');
    await bench.sql('ALTER TABLE guarded ENABLE ROW LEVEL SECURITY');
    const url = new URL(bench.url);
    await bench.sql(`GRANT CREATE ON DATABASE "${url.pathname.slice(1)}" TO "${role}"`);
    await bench.sql(`GRANT SELECT, UPDATE ON guarded TO "${role}"`);
    url.username = role;
    url.password = 'secret';
    const target = createPostgresTarget({ name: 'shortsighted', url: url.href, poolSize: 1 });
    try {
      expect(await check('guarded', {}, target)).toMatchObject([
        { path: 'table', problem: expect.stringContaining('row-level security of public.guarded') },
      ]);
      expect(await check('guarded')).toEqual([]);
      await bench.sql(`ALTER ROLE "${role}" BYPASSRLS`);
      expect(await check('guarded', {}, target)).toEqual([]);
    } finally {
      await target.close();
      await bench.sql(`DROP TABLE guarded`);
      await bench.sql(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
    }
  });
});
