import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { readContext } from '../../src/engine/backfill/context.ts';
import { migrateRows } from '../../src/engine/backfill/migrate.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import type { BackfillJob } from '../../src/engine/job.ts';
import { undoRows } from '../../src/engine/undo/undo-rows.ts';
import type { backfillPhase } from '../../src/plan/schema/backfill.ts';
import { pinSession } from '../../src/targets/postgres/backfill/pin-session.ts';
import { until } from '../support/until.ts';
import {
  type Bench,
  exceptionsOf,
  jobOf,
  ODD_SETTINGS,
  openBench,
  phaseOf,
  runToEnd,
  undoToEnd,
} from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench(ODD_SETTINGS);
});
afterAll(() => bench.close());

beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS lead_notes, leads, contacts');
  await bench.sql(`CREATE TABLE contacts (id int PRIMARY KEY, name text, source text, score text)`);
  await bench.sql(
    `INSERT INTO contacts SELECT n, 'c' || n, 's' || n % 3, n::text FROM generate_series(1, 25) n`,
  );
  await bench.sql(`CREATE TABLE leads (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, contact_id int NOT NULL UNIQUE,
    source varchar(10), score int CHECK (score <> 99), status text NOT NULL DEFAULT 'new', label text GENERATED ALWAYS AS ('L' || source) STORED)`);
});

const LEADS = {
  kind: 'insert',
  into: 'leads',
  values: { contact_id: 'contacts.id', source: 'source', score: 'score::int' },
  identifiedBy: ['contact_id'],
} as const;

type Given = Partial<z.input<typeof backfillPhase>>;
const leads = (given: Given = {}, transform: object = {}): BackfillJob =>
  jobOf(
    phaseOf('contacts', { transform: { ...LEADS, ...transform } as Given['transform'] & object, ...given }),
  );
const upsert = (given: Given = {}) => leads(given, { onConflict: 'update' });

/** Rows that differ from what they should be: of each contact its one lead, and no other. */
const differing = () =>
  bench.sql(
    `SELECT id, contact_id FROM contacts FULL JOIN (SELECT contact_id, source AS s, score AS n FROM leads) AS l ON id = contact_id
      WHERE (s, n) IS DISTINCT FROM (source, score::int) ORDER BY 1, 2`,
  );
const NONE = { undo: { kind: 'none' } } as const;
const JOURNAL = { undo: { kind: 'journal' } } as const;
const keysOf = async (job: BackfillJob) =>
  (await exceptionsOf(bench.target, job)).map(({ key }) => key).sort((a, b) => Number(a[0]) - Number(b[0]));

describe.each([
  ['without a way back', NONE],
  ['with a journal', JOURNAL],
  [
    'undone by a statement',
    { undo: { kind: 'sql', statement: 'DELETE FROM leads WHERE contact_id = ANY (:keys)' } },
  ],
] as const)('rows for another table, %s,', (_, undo) => {
  it('are made of each row once; what is not written is left to the database', async () => {
    const job = leads({ ...undo, where: 'id <> 7' });
    expect(await runToEnd(bench.target, job)).toMatchObject({ processed: 24, migrated: 24 });
    expect(await differing()).toEqual([{ id: 7, contact_id: null }]);
    expect(
      await bench.sql(
        'SELECT count(DISTINCT id)::int AS ids, status, label FROM leads WHERE score = 25 GROUP BY 2, 3',
      ),
    ).toEqual([{ ids: 1, status: 'new', label: 'Ls1' }]);
  });

  it('that are there already are left alone, and their rows count as skipped', async () => {
    await bench.sql(`INSERT INTO leads (contact_id, source) VALUES (3, 'mine'), (4, 'mine'), (25, 'mine')`);
    const counts = await runToEnd(bench.target, leads(undo));
    expect(counts).toMatchObject({ processed: 25, migrated: 22, skipped: 3, failed: 0 });
    expect(await bench.sql(`SELECT contact_id FROM leads WHERE source = 'mine' ORDER BY 1`)).toHaveLength(3);
    expect((await differing()).map(({ id }) => id)).toEqual([3, 4, 25]);
  });

  it('get the values of their rows where the plan says so', async () => {
    await bench.sql(
      `INSERT INTO leads (contact_id, source, status) VALUES (3, 'mine', 'won'), (25, 'mine', 'won')`,
    );
    expect(await runToEnd(bench.target, upsert(undo))).toMatchObject({ processed: 25, migrated: 25 });
    expect(await differing()).toEqual([]);
    expect(await bench.sql(`SELECT contact_id FROM leads WHERE status = 'won' ORDER BY 1`)).toEqual([
      { contact_id: 3 },
      { contact_id: 25 },
    ]);
  });

  it.each([
    ['left alone', leads],
    ['brought up to date', upsert],
  ])(
    'leave out the rows on which the database refuses them, whose copies are %s, and only those',
    async (_name, newJob) => {
      await bench.sql(`INSERT INTO leads (contact_id) VALUES (2)`);
      await bench.sql(
        `UPDATE contacts SET score = 'x' WHERE id IN (5, 6); UPDATE contacts SET score = '99' WHERE id = 13; UPDATE contacts SET source = 'much too long' WHERE id = 9`,
      );
      const job = newJob(undo);
      const counts = await runToEnd(bench.target, job);
      expect(counts).toMatchObject({ processed: 25, failed: 4 });
      expect(await keysOf(job)).toEqual([['5'], ['6'], ['9'], ['13']]);
      const byKey = new Map((await exceptionsOf(bench.target, job)).map((row) => [row.key[0], row]));
      expect(byKey.get('5')).toMatchObject({ kind: 'failed', sqlstate: '22P02' });
      expect(byKey.get('9')).toMatchObject({ sqlstate: '22001' });
      expect(byKey.get('13')).toMatchObject({ sqlstate: '23514' });
      expect(await bench.sql('SELECT FROM leads')).toHaveLength(21);
    },
  );

  it('of which several rows have the same: the first makes it, the others are skipped', async () => {
    const values = { contact_id: 'id % 5', source: `'s' || id` };
    const counts = await runToEnd(bench.target, leads(undo, { values }));
    expect(counts).toMatchObject({ processed: 25, migrated: 5, skipped: 20 });
    expect(await bench.sql('SELECT source FROM leads ORDER BY contact_id')).toEqual(
      [5, 1, 2, 3, 4].map((id) => ({ source: `s${id}` })),
    );
  });

  it('of which several rows of a batch have the same, and would overwrite each other: all but the first are set aside', async () => {
    const values = {
      contact_id: `CASE WHEN id IN (4, 7, 22) THEN 40 ELSE id END`,
      source: `'s' || id`,
      score: 'score::int',
    };
    await bench.sql(`UPDATE contacts SET score = 'x' WHERE id = 8`);
    const job = leads(undo, { values, onConflict: 'update' });
    // Of batches of 10: 4 and 7 in the first, 22 in the third.
    expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: 23, skipped: 0, failed: 2 });
    expect(await keysOf(job)).toEqual([['7'], ['8']]);
    expect((await exceptionsOf(bench.target, job))[0]).toMatchObject({
      key: ['7'],
      reason: 'another row before it has the same row of public.leads, by (contact_id)',
    });
    expect(await bench.sql('SELECT source FROM leads WHERE contact_id = 40')).toEqual([{ source: 's22' }]);
  });

  it('that a trigger suppresses fail, each by itself', async () => {
    await bench.sql(`INSERT INTO leads (contact_id) VALUES (2)`);
    await bench.sql(`CREATE OR REPLACE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RETURN CASE WHEN NEW.contact_id IN (11, 20) THEN NULL ELSE NEW END; END $$`);
    await bench.sql(
      'CREATE TRIGGER suppresses BEFORE INSERT ON leads FOR EACH ROW EXECUTE FUNCTION suppress()',
    );
    for (const newJob of [leads, upsert]) {
      await bench.sql('DELETE FROM leads WHERE contact_id > 2');
      const job = newJob(undo);
      expect(await runToEnd(bench.target, job)).toMatchObject({ processed: 25, failed: 2 });
      expect(await keysOf(job)).toEqual([['11'], ['20']]);
      expect(await bench.sql('SELECT FROM leads')).toHaveLength(23);
    }
  });

  it('are identified by several columns, and may go into partitions', async () => {
    await bench.sql('DROP TABLE leads');
    await bench.sql(
      `CREATE TABLE leads (source text, contact_id int, score int, PRIMARY KEY (source, contact_id)) PARTITION BY LIST (source)`,
    );
    await bench.sql(
      `CREATE TABLE leads_0 PARTITION OF leads FOR VALUES IN ('s0'); CREATE TABLE leads_rest PARTITION OF leads DEFAULT`,
    );
    await bench.sql(`INSERT INTO leads VALUES ('s0', 3, 0), ('s1', 3, 0)`);
    const identifiedBy = ['contact_id', 'source'];
    expect(await runToEnd(bench.target, leads(undo, { identifiedBy, onConflict: 'update' }))).toMatchObject({
      migrated: 25,
    });
    expect(await differing()).toEqual([{ id: 3, contact_id: 3 }]);
  });
});

/** Runs the work while the statement's transaction is open, until the work waits for it. */
const whileLocked = async (statement: string, run: () => Promise<unknown>) => {
  let work: Promise<unknown> | undefined;
  await bench.target.transaction({}, async (session) => {
    await session.query(statement);
    work = run();
    const waits = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
    await until(async () => (await bench.sql(waits)).length > 0, { what: 'the batch waits' });
  });
  return work;
};

describe('a batch of an insert', () => {
  it('waits for a row that the application deletes at the moment, and leaves no copy of it behind', async () => {
    const job = leads(JOURNAL);
    await whileLocked('DELETE FROM contacts WHERE id = 5', () => runToEnd(bench.target, job));
    expect(await bench.sql('SELECT FROM leads')).toHaveLength(24);
    expect(await bench.sql('SELECT FROM leads WHERE contact_id = 5')).toEqual([]);
  });

  it('does so also without a journal, where a trigger takes copies of deleted rows away', async () => {
    await bench.sql(`CREATE OR REPLACE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN DELETE FROM leads WHERE contact_id = OLD.id; RETURN NULL; END $$`);
    await bench.sql('CREATE TRIGGER forgets AFTER DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION forget()');
    await whileLocked('DELETE FROM contacts WHERE id = 5', () => runToEnd(bench.target, leads(NONE)));
    expect(await bench.sql('SELECT FROM leads WHERE contact_id = 5')).toEqual([]);
  });

  it('does not make a copy that the application makes at the moment', async () => {
    for (const newJob of [leads, upsert]) {
      await bench.sql('TRUNCATE leads');
      const counts = await whileLocked(`INSERT INTO leads (contact_id, source) VALUES (5, 'app')`, () =>
        runToEnd(bench.target, newJob()),
      );
      expect(counts).toMatchObject(newJob === leads ? { migrated: 24, skipped: 1 } : { migrated: 25 });
      expect(await bench.sql('SELECT source FROM leads WHERE contact_id = 5')).toEqual([
        { source: newJob === leads ? 'app' : 's2' },
      ]);
    }
  });

  it('gives a copy the values that the application is about to give its row', async () => {
    await bench.sql('INSERT INTO leads (contact_id) SELECT id FROM contacts');
    await whileLocked(`UPDATE contacts SET source = 'now' WHERE id = 5`, () =>
      runToEnd(bench.target, upsert()),
    );
    expect(await bench.sql('SELECT source FROM leads WHERE contact_id = 5')).toEqual([{ source: 'now' }]);
  });

  it('is tried twice at most once in a while where many copies are there', async () => {
    await bench.sql('INSERT INTO contacts SELECT n, NULL, NULL, 0 FROM generate_series(26, 2000) n');
    await bench.sql('INSERT INTO leads (contact_id) SELECT n FROM generate_series(20, 2000, 10) n');
    const [before] = await bench.sql<{ n: number }>(`SELECT last_value::int AS n FROM leads_id_seq`);
    const { counts } = await runSlice(bench.target, leads(NONE));
    expect(counts).toMatchObject({ migrated: 1801, skipped: 199, failed: 0 });
    // A row that is refused has used up its number; with a second attempt for each batch there would be twice as many.
    const [after] = await bench.sql<{ n: number }>(`SELECT last_value::int AS n FROM leads_id_seq`);
    expect((after?.n ?? 0) - (before?.n ?? 0)).toBeLessThan(2_300);
  });
});

describe('the undo of an insert by its journal', () => {
  it.each([
    ['left alone', leads],
    ['brought up to date', upsert],
  ])('leaves both tables as they were, where copies that were there were %s', async (_, newJob) => {
    await bench.sql(
      `INSERT INTO leads (contact_id, source, score, status) VALUES (3, 'mine', 7, 'won'), (25, NULL, NULL, 'lost'), (900, 'x', 1, 'new')`,
    );
    const before = { contacts: await bench.contents('contacts'), leads: await bench.contents('leads') };
    const job = newJob();
    await runToEnd(bench.target, job);
    const restored = newJob === leads ? 23 : 25;
    expect(await undoToEnd(bench.target, job)).toMatchObject({ done: true, restored, kept: 0 });
    expect(await bench.contents('contacts')).toEqual(before.contacts);
    expect(await bench.contents('leads')).toEqual(before.leads);
  });

  it('keeps and lists what the application has changed since, in whatever column', async () => {
    await bench.sql(`INSERT INTO leads (contact_id, source, score) VALUES (3, 'mine', 7), (4, 'mine', 7)`);
    const job = upsert();
    await runToEnd(bench.target, job);
    await bench.sql(`UPDATE leads SET status = 'won' WHERE contact_id IN (3, 5)`);
    await bench.sql(`UPDATE leads SET source = 'app' WHERE contact_id IN (4, 6)`);
    await bench.sql(`DELETE FROM leads WHERE contact_id = 7`);
    expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 21, kept: 4 });
    // What the plan does not write was not in its hands, and stays.
    expect(await bench.sql('SELECT contact_id, source, score, status FROM leads ORDER BY 1')).toEqual([
      { contact_id: 3, source: 'mine', score: 7, status: 'won' },
      { contact_id: 4, source: 'app', score: 4, status: 'new' },
      { contact_id: 5, source: 's2', score: 5, status: 'won' },
      { contact_id: 6, source: 'app', score: 6, status: 'new' },
    ]);
    const reasons = new Map(
      (await exceptionsOf(bench.target, job)).map(({ key, reason }) => [key[0], reason]),
    );
    expect([...reasons.keys()].sort()).toEqual(['4', '5', '6', '7']);
    expect(reasons.get('5')).toBe(
      'the row of public.leads was written since it was migrated; it was kept as it is',
    );
    expect(reasons.get('7')).toBe('the row of public.leads was deleted since it was migrated');
  });

  it.each(['CASCADE', 'SET NULL', 'NO ACTION'])(
    'deletes no row that others refer to, ON DELETE %s',
    async (action) => {
      await bench.sql(`CREATE TABLE lead_notes (lead int REFERENCES leads ON DELETE ${action}, note text)`);
      const job = leads();
      await runToEnd(bench.target, job);
      await bench.sql(`INSERT INTO lead_notes SELECT id, 'called' FROM leads WHERE contact_id IN (8, 9)`);
      expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 23, kept: 2 });
      expect(await bench.sql('SELECT contact_id FROM lead_notes JOIN leads ON id = lead ORDER BY 1')).toEqual(
        [{ contact_id: 8 }, { contact_id: 9 }],
      );
      expect(await keysOf(job)).toEqual([['8'], ['9']]);
    },
  );

  it('deletes no row that somebody begins to refer to at the moment', async () => {
    await bench.sql('CREATE TABLE lead_notes (lead int REFERENCES leads ON DELETE CASCADE, note text)');
    const job = leads();
    await runToEnd(bench.target, job);
    await whileLocked(`INSERT INTO lead_notes SELECT id, 'called' FROM leads WHERE contact_id = 8`, () =>
      undoToEnd(bench.target, job),
    );
    expect(await bench.sql('SELECT contact_id FROM lead_notes JOIN leads ON id = lead')).toEqual([
      { contact_id: 8 },
    ]);
  });

  it('takes single rows by what identifies them in the other table, while the backfill goes on', async () => {
    const values = { ...LEADS.values, contact_id: 'contacts.id + 100' };
    const job = leads({}, { values });
    await runSlice(bench.target, job, { untilMs: 0 });
    expect(await undoRows(bench.target, job, [['102'], ['5'], ['125'], ['x']])).toEqual({
      restored: [['102']],
      kept: [],
      unknown: [['5'], ['125'], ['x']],
    });
    expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: 25 });
    expect(await bench.sql('SELECT FROM leads')).toHaveLength(24);
  });

  it('knows a row that was there before as such, though it was deleted and made anew since', async () => {
    await bench.sql(`INSERT INTO leads (contact_id, source, score) VALUES (3, 'mine', 7)`);
    const job = upsert();
    await runToEnd(bench.target, job);
    await bench.sql('DELETE FROM leads WHERE contact_id IN (3, 4)');
    await bench.sql(`UPDATE contacts SET source = 'later' WHERE id IN (4, 5)`);
    await bench.target.transaction({}, async (session) => {
      await pinSession(session);
      const context = (await readContext(session, job)) ?? expect.fail('it has begun');
      const { counts } = await migrateRows(session, context, { keys: [['3'], ['4'], ['5']] });
      expect(counts).toMatchObject({ migrated: 3 });
    });
    expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 25, kept: 0 });
    expect(await bench.sql('SELECT contact_id, source, score FROM leads')).toEqual([
      { contact_id: 3, source: 'mine', score: 7 },
    ]);
  });
});

it('the undo of an insert by a statement deletes the copies that it made, and no others', async () => {
  await bench.sql(`INSERT INTO leads (contact_id, source) VALUES (3, 'mine'), (900, 'mine')`);
  const before = await bench.contents('leads');
  const job = leads({ undo: { kind: 'sql', statement: 'DELETE FROM leads WHERE contact_id = ANY (:keys)' } });
  await runToEnd(bench.target, job);
  expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 24, kept: 0 });
  expect(await bench.contents('leads')).toEqual(before);
});

/** What a contact is like, and what there is of its lead before. */
const contact = fc.record({
  id: fc.integer({ min: 1, max: 400 }),
  score: fc.constantFrom('5', '77', 'poison', '99', null),
  lead: fc.constantFrom('none', 'none', 'none', 'same', 'other'),
});
const scenario = fc.record({
  contacts: fc.uniqueArray(contact, { selector: ({ id }) => id, maxLength: 40 }),
  update: fc.boolean(),
  journal: fc.boolean(),
  trigger: fc.boolean(),
  batchSize: fc.integer({ min: 1, max: 12 }),
  lanes: fc.integer({ min: 1, max: 3 }),
  aborts: fc.array(fc.integer({ min: 0, max: 25 }), { maxLength: 3 }),
});

it('whatever the rows, copies, batch sizes and interruptions: each row has its copy, and undo leaves both tables as they were', async () => {
  await bench.sql(
    `CREATE OR REPLACE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$`,
  );
  await fc.assert(
    fc.asyncProperty(scenario, async ({ contacts, update, journal, trigger, batchSize, lanes, aborts }) => {
      await bench.sql('TRUNCATE leads, contacts; DROP TRIGGER IF EXISTS passes ON leads');
      if (trigger)
        await bench.sql(
          'CREATE TRIGGER passes BEFORE INSERT OR UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION pass()',
        );
      await bench.sql(
        `INSERT INTO contacts (id, source, score) SELECT id, 's', score FROM unnest($1::int[], $2::text[]) AS c(id, score)`,
        [contacts.map(({ id }) => id), contacts.map(({ score }) => score)],
      );
      const there = contacts.filter(({ lead }) => lead !== 'none');
      await bench.sql(`INSERT INTO leads (contact_id, source) SELECT * FROM unnest($1::int[], $2::text[])`, [
        there.map(({ id }) => id),
        there.map(({ lead }) => (lead === 'same' ? 's' : 'o')),
      ]);
      const before = await bench.contents('leads');
      const job = leads(
        { ...(journal ? JOURNAL : NONE), batchSize, maxBatchSize: batchSize },
        { onConflict: update ? 'update' : 'nothing' },
      );
      // Also where there is a copy already: whether the row's would do is asked first.
      const failing = contacts.filter(({ score }) => score === 'poison' || score === '99');
      const skipped = update ? [] : there.filter((row) => !failing.includes(row));

      for (const [since, ms] of aborts.entries()) {
        // A lane that comes back takes its range back, whether or not it could still let go of it.
        const options = { signal: AbortSignal.timeout(ms), claimant: { lane: '0', since } };
        await runSlice(bench.target, job, options).catch((error: unknown) => {
          if (!(error instanceof Error && error.name === 'TimeoutError')) throw error;
        });
      }
      const [result] = await Promise.all(
        Array.from({ length: lanes }, (_, i) =>
          runSlice(bench.target, job, { rowsPerRange: 10, claimant: { lane: `${i}`, since: Date.now() } }),
        ),
      );
      expect(result?.counts).toEqual({
        processed: contacts.length,
        migrated: contacts.length - failing.length - skipped.length,
        skipped: skipped.length,
        ambiguous: 0,
        failed: failing.length,
      });
      expect((await keysOf(job)).map(([id]) => Number(id))).toEqual(
        failing.map(({ id }) => id).sort((a, b) => a - b),
      );
      const expected = contacts.flatMap((row) => {
        const copied = !failing.includes(row) && !skipped.includes(row);
        if (copied)
          return [{ contact_id: row.id, source: 's', score: row.score === null ? null : Number(row.score) }];
        return row.lead === 'none'
          ? []
          : [{ contact_id: row.id, source: row.lead === 'same' ? 's' : 'o', score: null }];
      });
      expect(await bench.sql('SELECT contact_id, source, score FROM leads ORDER BY contact_id')).toEqual(
        expected.sort((a, b) => a.contact_id - b.contact_id),
      );
      if (!journal) return;
      expect(await undoToEnd(bench.target, job)).toMatchObject({
        restored: result?.counts.migrated,
        kept: 0,
      });
      expect(await bench.contents('leads')).toEqual(before);
    }),
    { numRuns: 25 },
  );
});
