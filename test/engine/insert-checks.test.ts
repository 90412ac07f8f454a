import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { InsertTransform } from '../../src/domain/plan.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { dryRunBackfill } from '../../src/engine/dry-run/dry-run.ts';
import type { PlannedBefore } from '../../src/engine/preflight/insert.ts';
import { preflightBackfill } from '../../src/engine/preflight/preflight.ts';
import { TransformRegistry } from '../../src/engine/transform/transform.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import type { Target } from '../../src/targets/target.ts';
import { uniqueName } from '../support/unique-name.ts';
import { type Bench, exceptionsOf, jobOf, openBench, phaseOf, runToEnd } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS contacts, leads');
  await bench.sql('CREATE TABLE contacts (id int PRIMARY KEY, source text, score text)');
  await bench.sql(`INSERT INTO contacts SELECT n, 's' || n % 3, n::text FROM generate_series(1, 35) n`);
  await bench.sql(`CREATE TABLE leads (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, contact_id int NOT NULL UNIQUE, maybe int UNIQUE,
    source varchar(10), score numeric(6, 1), code text NOT NULL DEFAULT '', label text GENERATED ALWAYS AS ('L' || source) STORED)`);
});

const LEADS: InsertTransform = {
  kind: 'insert',
  into: 'leads',
  values: { contact_id: 'id', source: 'source', score: 'score::numeric' },
  identifiedBy: ['contact_id'],
  onConflict: 'nothing',
};
type Given = Parameters<typeof phaseOf>[1];
const phase = (transform: Partial<InsertTransform> = {}, given: Given = {}) =>
  phaseOf('contacts', { transform: { ...LEADS, ...transform }, ...given });
const check = (
  transform: Partial<InsertTransform> = {},
  given: Given = {},
  { target = bench.target, ...before }: { target?: Target } & Partial<PlannedBefore> = {},
) =>
  preflightBackfill(target, phase(transform, given), new TransformRegistry([]), {
    intoIsPlanned: false,
    mayAdd: () => true,
    ...before,
  });

describe('preflight of rows for another table', () => {
  it('finds nothing wrong with a plan that can run, now or once its table and columns are there, and leaves no trace', async () => {
    const before = await bench.checksums();
    expect(await check()).toEqual([]);
    expect(await check({ onConflict: 'update', values: { ...LEADS.values, code: `'new'` } })).toEqual([]);
    expect(await check({ into: 'public.leads' }, { undo: { kind: 'none' }, pointOfNoReturn: true })).toEqual(
      [],
    );
    expect(await check({ values: { ...LEADS.values, added: 'id' } }, { columns: { added: 'int' } })).toEqual(
      [],
    );
    expect(
      await check({ values: { ...LEADS.values, score: 'added' } }, { columns: { added: 'int' } }),
    ).toEqual([]);
    expect(await check({ into: 'later' }, {}, { intoIsPlanned: true })).toEqual([]);
    expect(await bench.checksums()).toEqual(before);
  });

  it('refuses columns of either table that are not there, and that no earlier phase adds', async () => {
    const values = { ...LEADS.values, ghost: 'spirit' };
    const columns = { ghost: 'int', spirit: 'int' };
    const mayAdd = (column: string) => column === 'score';
    expect(await check({ values }, { columns }, { mayAdd })).toMatchObject([
      { path: 'columns.spirit', problem: expect.stringContaining('no earlier phase') },
      { path: 'transform.values.ghost', problem: expect.stringContaining('no column "ghost"') },
    ]);
    expect(await check({ values }, { columns }, { mayAdd: (column) => column in columns })).toEqual([]);
  });

  it.each<[string, Partial<InsertTransform>, Given, string, string]>([
    ['a table that is not there', { into: 'nowhere' }, {}, 'transform.into', 'no table "nowhere"'],
    [
      'the table that the rows come from',
      { into: 'public.contacts' },
      {},
      'transform.into',
      'is the table that the rows come from',
    ],
    [
      'a column that is not there',
      { values: { ...LEADS.values, stage: '1' } },
      {},
      'transform.values.stage',
      'no column "stage"',
    ],
    [
      'a column that is generated',
      { values: { ...LEADS.values, label: '1' } },
      {},
      'transform.values.label',
      'which the database generates',
    ],
    [
      'an identity that refuses values',
      { values: { ...LEADS.values, id: '1' } },
      {},
      'transform.values.id',
      'which the database generates',
    ],
    [
      'an identity without a unique index',
      { values: { contact_id: 'id', code: 'source' }, identifiedBy: ['code'] },
      {},
      'transform.identifiedBy',
      'no unique index of public.leads has just (code)',
    ],
    [
      'an identity of which only a part is unique',
      { values: { contact_id: 'id', code: 'source' }, identifiedBy: ['contact_id', 'code'] },
      {},
      'transform.identifiedBy',
      'has just (contact_id, code)',
    ],
    [
      'an identity that may be NULL',
      { values: { maybe: 'id', contact_id: 'id' }, identifiedBy: ['maybe'] },
      {},
      'transform.identifiedBy',
      '"maybe" of public.leads may be NULL',
    ],
    [
      'an identity that gets no value',
      { values: { source: 'source' } },
      {},
      'transform.identifiedBy',
      '"contact_id" gets no value',
    ],
    [
      'an expression of another type',
      { values: { ...LEADS.values, score: 'contacts' } },
      {},
      'transform.values.score',
      'is of type numeric but expression is of type contacts',
    ],
    [
      'an expression over unknown columns',
      { values: { ...LEADS.values, score: 'scores' } },
      {},
      'transform.values.score',
      '"scores" does not exist',
    ],
    [
      'an expression that is no SQL',
      { values: { ...LEADS.values, score: '1 +' } },
      {},
      'transform.values.score',
      'syntax error',
    ],
    [
      'an expression over columns of the other table',
      { values: { ...LEADS.values, code: 'code' } },
      {},
      'transform.values.code',
      '"code" does not exist',
    ],
    [
      'a column to be added of another type',
      { values: { ...LEADS.values, added: 'id' } },
      { columns: { added: 'date' } },
      'transform.values.added',
      'cannot cast type integer to date',
    ],
  ])('refuses %s', async (_, transform, given, path, problem) => {
    const problems = await check(transform, given);
    expect(problems).toMatchObject([{ path, problem: expect.stringContaining(problem) }]);
  });

  it('refuses to leave out a column that needs a value, unless a trigger may give it one', async () => {
    await bench.sql('ALTER TABLE leads ADD owner int NOT NULL');
    expect(await check()).toMatchObject([
      {
        path: 'transform.values',
        problem: '"owner" of public.leads must not be NULL, has no default and gets no value',
      },
    ]);
    await bench.sql(
      `CREATE OR REPLACE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.owner := 1; RETURN NEW; END $$`,
    );
    await bench.sql('CREATE TRIGGER owns BEFORE INSERT ON leads FOR EACH ROW EXECUTE FUNCTION own()');
    expect(await check()).toEqual([]);
    expect(await runToEnd(bench.target, jobOf(phase()))).toMatchObject({ migrated: 35 });
  });

  it('refuses what the role may not do, or not see', async () => {
    const role = uniqueName('reader').replaceAll('-', '_');
    await bench.sql(
      `CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE "${new URL(bench.url).pathname.slice(1)}" TO ${role}`,
    );
    await bench.sql(
      `GRANT SELECT ON contacts TO ${role}; GRANT SELECT, INSERT (contact_id, source) ON leads TO ${role}`,
    );
    const url = new URL(bench.url);
    url.username = role;
    url.password = 'x';
    const target = createPostgresTarget({ name: 'reader', url: url.href, poolSize: 1 });
    try {
      const problems = await check({ onConflict: 'update' }, {}, { target });
      expect(problems).toMatchObject([
        { path: 'transform.into', fix: 'GRANT INSERT, UPDATE, DELETE ON public.leads to it' },
        { path: 'table', problem: expect.stringContaining('may not lock rows of public.contacts') },
      ]);
      await bench.sql(`GRANT ALL ON contacts, leads TO ${role}`);
      expect(await check({ onConflict: 'update' }, {}, { target })).toEqual([]);
      await bench.sql('ALTER TABLE leads ENABLE ROW LEVEL SECURITY');
      expect(await check({}, {}, { target })).toMatchObject([
        { path: 'transform.into', problem: expect.stringContaining('row-level security of public.leads') },
      ]);
    } finally {
      await target.close();
      await bench.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('is made up for when the phase begins, where the table was made after it', async () => {
    await bench.sql('ALTER TABLE leads DROP CONSTRAINT leads_contact_id_key');
    await expect(runSlice(bench.target, jobOf(phase()))).rejects.toThrow(
      'rows of public.leads are not identified by (contact_id): that takes NOT NULL on each and a unique index',
    );
    await bench.sql('CREATE UNIQUE INDEX ON leads (contact_id)');
    expect(await runToEnd(bench.target, jobOf(phase()))).toMatchObject({ migrated: 35 });
  });
});

describe('a dry run of rows for another table', () => {
  it.each(['nothing', 'update'] as const)(
    'writes nothing anywhere, and foretells exactly what the backfill then does, on conflict %s',
    async (onConflict) => {
      await bench.sql(
        `INSERT INTO leads (contact_id, source) VALUES (2, 'mine'), (30, 'mine'), (99, 'mine')`,
      );
      await bench.sql(
        `UPDATE contacts SET score = 'x' WHERE id = 5; UPDATE contacts SET source = 'much too long' WHERE id = 9`,
      );
      await bench.sql(`UPDATE contacts SET score = '1234567' WHERE id = 11`);
      // 14 and 16 in one batch of ten, as 15 has them.
      const values = { ...LEADS.values, contact_id: 'CASE WHEN id IN (14, 16) THEN 15 ELSE id END' };
      const job = jobOf(phase({ onConflict, values }, { where: 'id <> 20' }));
      const before = await bench.checksums();
      const report = await dryRunBackfill(bench.target, job);
      expect(await bench.checksums()).toEqual(before);

      expect(await runToEnd(bench.target, job)).toEqual(report.counts);
      const failed = (await exceptionsOf(bench.target, job)).map(({ key, reason }) => ({ key, reason }));
      expect(report.failed.map(({ key }) => key)).toEqual(failed.map(({ key }) => key));
      const updates = onConflict === 'update';
      expect(report.counts).toMatchObject({ skipped: updates ? 0 : 4, failed: updates ? 5 : 3 });
      expect(report.copies).toEqual({ into: 'public.leads', inserted: 27, updated: updates ? 2 : 0 });
      expect(report.notes).toEqual([]);
      expect(report.samples[0]).toEqual({
        key: ['1'],
        before: null,
        after: { contact_id: 1, source: 's1', score: '1.0' },
      });
      if (updates) {
        expect(report.samples[1]).toEqual({
          key: ['2'],
          before: { contact_id: 2, source: 'mine', score: null },
          after: { contact_id: 2, source: 's2', score: '2.0' },
        });
      }
    },
  );

  it('of a table and columns that the plan makes first says so, and looks at the rows all the same', async () => {
    await bench.sql(`UPDATE contacts SET score = 'x' WHERE id = 5`);
    const values = { contact_id: 'id', score: 'score::int', extra: `jsonb_build_object('n', id)` };
    const planned = jobOf(
      phase({ into: 'planned', values }, { columns: { contact_id: 'int', extra: 'jsonb' } }),
    );
    const report = await dryRunBackfill(bench.target, planned, { limit: 20 });
    expect(report).toMatchObject({
      counts: { processed: 20, migrated: 19, failed: 1 },
      copies: { into: 'planned', inserted: 19, updated: 0 },
      notes: [expect.stringContaining('The table planned is not there yet')],
      hasMore: true,
    });
    expect(report.samples[0]?.after).toEqual({ contact_id: 1, score: '1', extra: { n: 1 } });

    await bench.sql(`INSERT INTO leads (contact_id) VALUES (2)`);
    const added = jobOf(
      phase(
        { onConflict: 'update', values: { contact_id: 'id', extra: 'id' } },
        { columns: { extra: 'int' } },
      ),
    );
    expect(await dryRunBackfill(bench.target, added)).toMatchObject({
      copies: { inserted: 34, updated: 1 },
      notes: [],
      samples: [
        {},
        { before: { contact_id: 2, extra: null }, after: { contact_id: 2, extra: 2 } },
        {},
        {},
        {},
      ],
    });
  });

  it('shows no value of a redacted column', async () => {
    const report = await dryRunBackfill(bench.target, jobOf(phase({}, { redact: ['source'] })));
    expect(report.samples[0]?.after).toMatchObject({ source: '[redacted]', contact_id: 1 });
  });
});
