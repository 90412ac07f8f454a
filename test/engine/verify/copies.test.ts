import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { drainSync } from '../../../src/engine/sync/drain.ts';
import { installSync } from '../../../src/engine/sync/install.ts';
import { backfillOf } from '../../../src/engine/sync/job.ts';
import { type Bench, exceptionsOf, jobOf, openBench, phaseOf, runToEnd } from '../harness.ts';
import { syncOf } from '../sync/support.ts';
import { countsOf, verifyJobOf, verifyToEnd } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

const ROWS = 45;
beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS leads, contacts CASCADE');
  await bench.sql('CREATE TABLE contacts (id int PRIMARY KEY, source text, score text)');
  await bench.sql(`INSERT INTO contacts SELECT n * 2, 's' || n % 3, n FROM generate_series(1, ${ROWS}) n`);
  await bench.sql(`CREATE TABLE leads (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contact_id int NOT NULL UNIQUE, source varchar(5), score int, status text DEFAULT 'new')`);
});

const leads = (transform: object = {}, where?: string) =>
  phaseOf('contacts', {
    ...(where ? { where } : {}),
    transform: {
      kind: 'insert',
      into: 'leads',
      values: { contact_id: 'contacts.id', source: 'source', score: 'score::int' },
      identifiedBy: ['contact_id'],
      onConflict: 'update',
      ...transform,
    },
  });
const differing = () =>
  bench.sql(
    `SELECT c.id FROM contacts c LEFT JOIN leads l ON l.contact_id = c.id
      WHERE (l.source, l.score) IS DISTINCT FROM (c.source, c.score::int) ORDER BY 1`,
  );

describe('rows with copies in another table', () => {
  it('are found where the copy is missing or has other values, and get it again', async () => {
    const job = jobOf(leads());
    await runToEnd(bench.target, job);
    await bench.sql('DELETE FROM leads WHERE contact_id IN (2, 50, 90)');
    await bench.sql(`UPDATE leads SET source = 'other' WHERE contact_id BETWEEN 20 AND 26`);
    await bench.sql(`UPDATE leads SET status = 'won' WHERE contact_id = 4`);
    await bench.sql(`INSERT INTO contacts VALUES (1001, 's1', '7')`);
    const counts = await verifyToEnd(bench.target, verifyJobOf(job));
    expect(counts).toEqual(countsOf(ROWS + 1, { repaired: 8 }));
    expect(await differing()).toEqual([]);
    expect(await bench.sql('SELECT status FROM leads WHERE contact_id = 4')).toEqual([{ status: 'won' }]);
  });

  it('may have copies with other values where those are left alone', async () => {
    const job = jobOf(leads({ onConflict: 'nothing' }));
    await runToEnd(bench.target, job);
    await bench.sql(`UPDATE leads SET source = 'other' WHERE contact_id = 20`);
    await bench.sql('DELETE FROM leads WHERE contact_id = 90');
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(ROWS, { repaired: 1 }));
    expect(await differing()).toEqual([{ id: 20 }]);
  });

  it('are listed with what is wrong with their copies', async () => {
    const job = jobOf(leads());
    await runToEnd(bench.target, job);
    await bench.sql('DELETE FROM leads WHERE contact_id = 2');
    await bench.sql('UPDATE leads SET score = NULL WHERE contact_id = 4');
    const counts = await verifyToEnd(bench.target, verifyJobOf(job, { onDrift: 'fail' }));
    expect(counts).toEqual(countsOf(ROWS, { differing: 2 }));
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      { key: ['2'], kind: 'differs', reason: 'it has no row in public.leads' },
      { key: ['4'], kind: 'differs', reason: '"score" is NULL, and should be 2' },
    ]);
  });

  it('are counted apart where their copies were set aside', async () => {
    await bench.sql(`UPDATE contacts SET score = 'none' WHERE id IN (6, 8)`);
    const job = jobOf(leads());
    await runToEnd(bench.target, job);
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(ROWS, { failed: 2 }));
  });
});

describe('copies without a row', () => {
  it('are reported, also beyond the last row, and neither repaired nor a failure', async () => {
    const job = jobOf(leads({}, `source <> 'none'`));
    await runToEnd(bench.target, job);
    await bench.sql('DELETE FROM contacts WHERE id IN (2, 40)');
    await bench.sql(`UPDATE contacts SET source = 'none' WHERE id = 60`);
    await bench.sql(`INSERT INTO leads (contact_id) VALUES (-5), (41), (2147483647)`);
    const verify = verifyJobOf(job, { onDrift: 'fail' });
    expect(await verifyToEnd(bench.target, verify)).toEqual(countsOf(ROWS - 3, { surplus: 6 }));
    expect(await exceptionsOf(bench.target, job)).toEqual([]);
  });

  it('are told where there is no row at all', async () => {
    const job = jobOf(leads());
    await runToEnd(bench.target, job);
    await bench.sql('TRUNCATE contacts');
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(0, { surplus: ROWS }));
  });

  it('are none while it is captured that their rows are gone', async () => {
    const job = syncOf(leads(), { mode: 'capture' });
    await installSync(bench.target, job);
    await runToEnd(bench.target, backfillOf(job));
    await bench.sql('DELETE FROM contacts WHERE id IN (2, 40)');
    const verify = verifyJobOf(backfillOf(job), {}, { syncs: ['keep'] });
    expect(await verifyToEnd(bench.target, verify, { capturedMs: 50 })).toEqual(countsOf(ROWS - 2));
    await drainSync(bench.target, job);
    const again = { ...verify, attempt: 'second' };
    expect(await verifyToEnd(bench.target, again)).toEqual(countsOf(ROWS - 2));
    expect(await bench.sql('SELECT FROM leads')).toHaveLength(ROWS - 2);
  });

  it.each([
    [
      'no index sorts them by the key',
      { identifiedBy: ['source', 'contact_id'] },
      'ALTER COLUMN source SET NOT NULL, ADD UNIQUE (source, contact_id)',
    ],
    [
      'they are not identified by the key as it is',
      { values: { contact_id: 'contacts.id + 0', score: 'score::int' } },
      'ADD UNIQUE (contact_id)',
    ],
    ['they have it in another type', {}, 'ALTER COLUMN contact_id TYPE bigint, ADD UNIQUE (contact_id)'],
  ])('are not told where %s', async (_, transform, change) => {
    await bench.sql(`ALTER TABLE leads DROP CONSTRAINT leads_contact_id_key, ${change}`);
    const job = jobOf(leads(transform));
    await runToEnd(bench.target, job);
    await bench.sql('DELETE FROM contacts WHERE id = 2');
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(ROWS - 1));
  });
});
