import { afterEach, beforeEach, expect, test } from 'vitest';
import { type BackupRequest, backUpTable, dropBackup } from '../../../src/targets/postgres/backup.ts';
import { createPostgresTarget } from '../../../src/targets/postgres/connection.ts';
import { uniqueName } from '../../support/unique-name.ts';
import { type Fixture, holdLock, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await startFixture();
  await fixture.sql(
    'CREATE TABLE campaign (id int PRIMARY KEY, source text, doubled int GENERATED ALWAYS AS (id * 2) STORED)',
  );
  await fixture.sql(
    `INSERT INTO campaign (id, source) SELECT n, CASE WHEN n % 2 = 0 THEN 'even' END FROM generate_series(1, 5) n`,
  );
});
afterEach(() => fixture.stop());

const request: BackupRequest = { runId: 'run-1', table: 'campaign', as: 'campaign_backup' };

test('the copy holds every row, and its comment says who made it', async () => {
  expect(await backUpTable(fixture.target, request)).toEqual({
    table: 'campaign',
    backup: 'public.campaign_backup',
    rows: 5,
  });
  expect(await fixture.sql('SELECT * FROM campaign_backup EXCEPT SELECT * FROM campaign')).toEqual([]);
  expect(await fixture.sql(`SELECT obj_description('campaign_backup'::regclass) AS comment`)).toEqual([
    { comment: 'Cutover backup of campaign, run run-1: 5 rows' },
  ]);
});

test('a condition limits the copy, also when it ends with a remark', async () => {
  const backup = await backUpTable(fixture.target, {
    ...request,
    where: `source = 'even' OR id = 1 -- the rest stays`,
  });
  expect(backup.rows).toBe(3);
  expect(await fixture.sql('SELECT id FROM campaign_backup ORDER BY id')).toEqual([
    { id: 1 },
    { id: 2 },
    { id: 4 },
  ]);
});

test('the copy goes to the schema of the table, or to the one that is named', async () => {
  await fixture.sql('CREATE SCHEMA "Shop"; CREATE TABLE "Shop"."Order" (id int); CREATE SCHEMA attic');
  const table = '"Shop"."Order"';
  const beside = await backUpTable(fixture.target, { runId: 'run-1', table, as: '"Order backup"' });
  expect(beside.backup).toBe('"Shop"."Order backup"');
  const elsewhere = await backUpTable(fixture.target, { runId: 'run-1', table, as: 'attic.orders' });
  expect(elsewhere.backup).toBe('attic.orders');
});

test('made again by the same run it is counted and kept, whatever the table holds by now', async () => {
  await backUpTable(fixture.target, request);
  await fixture.sql('INSERT INTO campaign (id) VALUES (6)');
  expect(await backUpTable(fixture.target, request)).toMatchObject({ rows: 5 });
});

test('two workers at once make it once', async () => {
  const results = await Promise.all([
    backUpTable(fixture.target, request),
    backUpTable(fixture.target, request),
  ]);
  expect(results.map(({ rows }) => rows)).toEqual([5, 5]);
});

test('a copy that somebody changed is no proof', async () => {
  await backUpTable(fixture.target, request);
  await fixture.sql('DELETE FROM campaign_backup WHERE id = 1');
  await expect(backUpTable(fixture.target, request)).rejects.toThrow(/had 5 rows.*has 4 now/);
});

test('a table of that name from another run, another table or another hand is neither used nor dropped', async () => {
  await backUpTable(fixture.target, request);
  await fixture.sql('CREATE TABLE foreign_backup (id int); CREATE TABLE event (id int)');
  const others: BackupRequest[] = [
    { ...request, runId: 'run-2' },
    { ...request, runId: 'run' },
    { ...request, table: 'event' },
    { ...request, as: 'foreign_backup' },
  ];
  for (const other of others) {
    await expect(backUpTable(fixture.target, other)).rejects.toThrow(/was not made as this run's backup/);
    expect(await dropBackup(fixture.target, other)).toBe(false);
  }
  expect(await fixture.sql(`SELECT to_regclass('foreign_backup') IS NOT NULL AS there`)).toEqual([
    { there: true },
  ]);
  expect(await fixture.sql('SELECT count(*)::int AS n FROM campaign_backup')).toEqual([{ n: 5 }]);
});

test('its own run drops it, once', async () => {
  await backUpTable(fixture.target, request);
  expect(await dropBackup(fixture.target, request)).toBe(true);
  expect(await dropBackup(fixture.target, request)).toBe(false);
  expect(await fixture.sql(`SELECT to_regclass('campaign_backup') AS copy`)).toEqual([{ copy: null }]);
});

test('a name that no table can have is told, and leaves nothing to drop', async () => {
  const wrong = { ...request, as: 'campaign-backup' };
  await expect(backUpTable(fixture.target, wrong)).rejects.toThrow(/not a valid identifier/);
  expect(await dropBackup(fixture.target, wrong)).toBe(false);
});

test('dropping waits no longer than lock_timeout', async () => {
  await backUpTable(fixture.target, request);
  const lock = await holdLock(fixture, 'campaign_backup', 'ACCESS SHARE');
  await expect(dropBackup(fixture.target, { ...request, lockTimeoutMs: 30 })).rejects.toMatchObject({
    code: '55P03',
  });
  await lock.release();
});

test('a missing table and a wrong condition are told, and nothing is left', async () => {
  await expect(backUpTable(fixture.target, { ...request, table: 'campain' })).rejects.toThrow(
    'backup of campain: there is no such table',
  );
  await expect(backUpTable(fixture.target, { ...request, where: 'colour = 1' })).rejects.toThrow(
    /backup of campaign: column "colour" does not exist/,
  );
  expect(await fixture.sql(`SELECT to_regclass('campaign_backup') AS copy`)).toEqual([{ copy: null }]);
});

test('a role that a policy hides rows from gets an error, not a copy of the rows that it sees', async () => {
  const role = uniqueName('role');
  await fixture.sql(
    `CREATE ROLE "${role}"; GRANT ALL ON SCHEMA public TO "${role}"; GRANT ALL ON campaign TO "${role}"`,
  );
  await fixture.sql(
    'ALTER TABLE campaign ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON campaign USING (id < 3)',
  );
  const url = new URL(fixture.url);
  url.searchParams.set('options', `-c role=${role}`);
  const target = createPostgresTarget({ name: 'shop', url: url.href, poolSize: 1 });
  try {
    await expect(backUpTable(target, request)).rejects.toThrow(
      'row-level security policy for table "campaign"',
    );
  } finally {
    await target.close();
    await fixture.sql(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
  }
  expect(await fixture.sql(`SELECT to_regclass('campaign_backup') AS copy`)).toEqual([{ copy: null }]);
});
