import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPostgresTarget } from '../../../src/targets/postgres/connection.ts';
import { sqlState } from '../../../src/targets/postgres/errors.ts';
import type { LockRetry } from '../../../src/targets/postgres/lock-retry.ts';
import {
  applyStatements,
  type SchemaChange,
  type SchemaChangeOptions,
} from '../../../src/targets/postgres/schema-change.ts';
import { until } from '../../support/until.ts';
import { type Fixture, holdLock, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await startFixture({ poolSize: 1 });
  await fixture.sql('CREATE TABLE campaign (id int PRIMARY KEY, name text)');
});
afterEach(() => fixture.stop());

function apply(statements: string[], change: Partial<SchemaChange> = {}, options: SchemaChangeOptions = {}) {
  const defaults = { runId: 'run-1', phase: 'expand', lockTimeoutMs: 100, lockAttempts: 3 };
  return applyStatements(fixture.target, { ...defaults, direction: 'up', statements, ...change }, options);
}

async function columns(table = 'campaign') {
  const rows = await fixture.sql(
    'SELECT attname::text AS name FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum',
    [table],
  );
  return rows.map((row) => row.name);
}

async function indexes() {
  return await fixture.sql(
    `SELECT relname::text AS name, indisvalid AS valid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
      WHERE indrelid = 'campaign'::regclass AND NOT indisprimary ORDER BY relname`,
  );
}

test('statements run in their order, each once however often the phase is tried', async () => {
  const statements = [
    'ALTER TABLE campaign ADD COLUMN config jsonb',
    `UPDATE campaign SET name = name || '!'`,
    'ALTER TABLE campaign ALTER COLUMN config SET NOT NULL',
  ];
  await fixture.sql(`INSERT INTO campaign VALUES (1, 'a')`);
  await expect(apply(statements)).rejects.toThrow(/statement 3 of 3.*contains null values/);
  await fixture.sql(`UPDATE campaign SET config = '{}'`);
  expect(await apply(statements)).toEqual({ applied: 1, skipped: 2 });
  expect(await apply(statements)).toEqual({ applied: 0, skipped: 3 });
  expect(await fixture.sql('SELECT name FROM campaign')).toEqual([{ name: 'a!' }]);
});

test('two workers with the same statement at once run it once', async () => {
  await fixture.sql(`INSERT INTO campaign VALUES (1, 'a')`);
  const lock = await holdLock(fixture, 'campaign');
  const other = createPostgresTarget({ name: 'shop', url: fixture.url, poolSize: 1 });
  const change: SchemaChange = {
    runId: 'run-1',
    phase: 'expand',
    direction: 'up',
    statements: [`UPDATE campaign SET name = name || '!'`],
    lockTimeoutMs: 10_000,
    lockAttempts: 1,
  };
  const works = [applyStatements(fixture.target, change), applyStatements(other, change)];
  const waiting = async () => {
    const [row] = await fixture.sql(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
    );
    return row?.n === 2;
  };
  await until(waiting, { what: 'one waits for the table, the other for the first' });
  await lock.release();
  const results = await Promise.all(works);
  expect(results.map(({ applied }) => applied).sort()).toEqual([0, 1]);
  expect(await fixture.sql('SELECT name FROM campaign')).toEqual([{ name: 'a!' }]);
  await other.close();
});

test('an ALTER waits for its lock no longer than lock_timeout, lets others pass, and is tried until it is free', async () => {
  const lock = await holdLock(fixture, 'campaign', 'ACCESS SHARE');
  const retries: (LockRetry & { index: number })[] = [];
  const readWhileRetrying: Promise<unknown>[] = [];
  const started = performance.now();
  const work = apply(
    ['ALTER TABLE campaign ADD COLUMN config jsonb'],
    { lockTimeoutMs: 50, lockAttempts: 20 },
    {
      random: () => 0,
      onRetry: (retry) => {
        retries.push(retry);
        // Between attempts nobody queues behind the ALTER.
        readWhileRetrying.push(fixture.sql('SELECT * FROM campaign'));
        if (retries.length === 3) lock.release();
      },
    },
  );
  expect(await work).toEqual({ applied: 1, skipped: 0 });
  await Promise.all(readWhileRetrying);
  expect(
    retries.map(({ index, attempt, attempts, pauseMs }) => ({ index, attempt, attempts, pauseMs })),
  ).toEqual([
    { index: 0, attempt: 1, attempts: 20, pauseMs: 25 },
    { index: 0, attempt: 2, attempts: 20, pauseMs: 50 },
    { index: 0, attempt: 3, attempts: 20, pauseMs: 100 },
  ]);
  expect(retries[0]?.reason).toMatch(/lock timeout.*55P03/);
  expect(performance.now() - started).toBeLessThan(10_000);
  expect(await columns()).toEqual(['id', 'name', 'config']);
});

test('when the locks stay taken the error names the statement, the attempts and what to look for', async () => {
  const lock = await holdLock(fixture, 'campaign');
  const error = await apply(['ALTER TABLE campaign ADD COLUMN config jsonb'], {
    lockTimeoutMs: 20,
    lockAttempts: 2,
  }).catch((caught: unknown) => caught);
  expect(error).toMatchObject({
    name: 'StatementError',
    index: 0,
    message: expect.stringMatching(/statement 1 of 1 .*2 attempts of up to 20 ms.*pg_blocking_pids/),
  });
  expect(sqlState(error)).toBe('55P03');
  await lock.release();
});

test('CREATE INDEX CONCURRENTLY runs outside of a transaction, and once', async () => {
  const statements = ['CREATE INDEX CONCURRENTLY campaign_name ON campaign (name)'];
  expect(await apply(statements)).toEqual({ applied: 1, skipped: 0 });
  expect(await apply(statements)).toEqual({ applied: 0, skipped: 1 });
  expect(await indexes()).toEqual([{ name: 'campaign_name', valid: true }]);
});

test('a unique index that fails on duplicates leaves no invalid index behind, and can be tried again', async () => {
  await fixture.sql(`INSERT INTO campaign VALUES (1, 'same'), (2, 'same')`);
  const statements = ['CREATE UNIQUE INDEX CONCURRENTLY "Campaign name" ON public.campaign (name)'];
  const error = await apply(statements).catch((caught: unknown) => caught);
  expect(error).toMatchObject({
    message: expect.stringMatching(/statement 1 of 1: could not create unique index/),
  });
  expect((error as Error).message).not.toContain('same');
  expect(await indexes()).toEqual([]);
  await fixture.sql('DELETE FROM campaign WHERE id = 2');
  expect(await apply(statements)).toEqual({ applied: 1, skipped: 0 });
  expect(await indexes()).toEqual([{ name: 'Campaign name', valid: true }]);
});

test('an invalid index that an earlier attempt left is dropped before the next, also with IF NOT EXISTS', async () => {
  await fixture.sql(`INSERT INTO campaign VALUES (1, 'same'), (2, 'same')`);
  await expect(
    fixture.sql('CREATE UNIQUE INDEX CONCURRENTLY campaign_name ON campaign (name)'),
  ).rejects.toThrow();
  expect(await indexes()).toEqual([{ name: 'campaign_name', valid: false }]);
  await fixture.sql('DELETE FROM campaign WHERE id = 2');
  await apply(['create unique index concurrently if not exists campaign_name on campaign (name)']);
  expect(await indexes()).toEqual([{ name: 'campaign_name', valid: true }]);
});

test('an index built just before the worker died counts as done', async () => {
  const statements = ['CREATE INDEX CONCURRENTLY campaign_name ON campaign (name)'];
  await apply(statements);
  await fixture.sql('UPDATE cutover.applied_statement SET finished_at = NULL');
  expect(await apply(statements)).toEqual({ applied: 0, skipped: 1 });
  const [record] = await fixture.sql('SELECT finished_at FROM cutover.applied_statement');
  expect(record?.finished_at).toBeInstanceOf(Date);
});

test('an index of the name that somebody else made is refused each time', async () => {
  await fixture.sql('CREATE INDEX campaign_name ON campaign (id)');
  const statements = ['CREATE INDEX CONCURRENTLY campaign_name ON campaign (name)'];
  await expect(apply(statements)).rejects.toThrow(/exists already and this run did not make it/);
  await expect(apply(statements)).rejects.toThrow(/exists already and this run did not make it/);
  expect(await indexes()).toEqual([{ name: 'campaign_name', valid: true }]);
});

test('an aborted index build ends on the server and its leftover is dropped', async () => {
  const old = await holdLock(fixture, 'campaign', 'ROW EXCLUSIVE');
  const abort = new AbortController();
  const work = apply(
    ['CREATE INDEX CONCURRENTLY campaign_name ON campaign (name)'],
    { lockTimeoutMs: 60_000 },
    { signal: abort.signal },
  );
  work.catch(() => undefined);
  await until(async () => (await indexes()).length === 1, { what: 'the build has begun' });
  abort.abort();
  // The old transaction is in the way of the clean-up as well.
  await until(async () => await isRunning('DROP INDEX CONCURRENTLY%'), { what: 'the clean-up has begun' });
  expect(await isRunning('CREATE INDEX CONCURRENTLY%')).toBe(false);
  await old.release();
  await expect(work).rejects.toBe(abort.signal.reason);
  expect(await indexes()).toEqual([]);
});

test('an index that the backend of a dead worker is still building is waited for', async () => {
  const statements = ['CREATE INDEX CONCURRENTLY campaign_name ON campaign (name)'];
  await apply(['SELECT 1'], { phase: 'earlier' });
  const old = await holdLock(fixture, 'campaign', 'ROW EXCLUSIVE');
  await fixture.sql(`INSERT INTO cutover.applied_statement (run_id, phase, direction, index, total)
                     VALUES ('run-1', 'expand', 'up', 0, 1)`);
  const survivor = await fixture.connect();
  const building = survivor.query(statements[0] ?? '');
  await until(async () => (await indexes()).length === 1, { what: 'the build has begun' });
  const reasons: string[] = [];
  const onRetry = ({ reason }: LockRetry) => {
    reasons.push(reason);
    if (reasons.length === 1) old.release();
  };
  expect(await apply(statements, { lockAttempts: 20 }, { onRetry })).toEqual({ applied: 0, skipped: 1 });
  await building;
  expect(reasons[0]).toBe('another session is still building the index public.campaign_name');
  expect(await indexes()).toEqual([{ name: 'campaign_name', valid: true }]);
});

async function isRunning(query: string): Promise<boolean> {
  const rows = await fixture.sql(
    `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND datname = current_database()`,
    [query],
  );
  return rows.length > 0;
}

test('dropping an index concurrently is done when it is gone, after a worker died', async () => {
  await fixture.sql('CREATE INDEX campaign_name ON campaign (name)');
  const statements = ['DROP INDEX CONCURRENTLY campaign_name'];
  expect(await apply(statements)).toEqual({ applied: 1, skipped: 0 });
  await fixture.sql('UPDATE cutover.applied_statement SET finished_at = NULL');
  expect(await apply(statements)).toEqual({ applied: 0, skipped: 1 });
  const again = () => apply(['DROP INDEX CONCURRENTLY never_there'], { phase: 'other' });
  await expect(again()).rejects.toThrow(/never_there.*does not exist/);
  await expect(again()).rejects.toThrow(/never_there.*does not exist/);
});

test('VACUUM, which refuses transactions, runs too', async () => {
  expect(await apply(['VACUUM (ANALYZE) campaign'])).toEqual({ applied: 1, skipped: 0 });
});

test('the way down undoes the way up, forgets it, and may be tried again', async () => {
  const up = ['ALTER TABLE campaign ADD COLUMN config jsonb', 'CREATE TABLE extra (id int)'];
  const down = ['DROP TABLE extra', 'ALTER TABLE campaign DROP COLUMN config'];
  await apply(up);
  expect(await apply(down, { direction: 'down' })).toEqual({ applied: 2, skipped: 0 });
  expect(await columns()).toEqual(['id', 'name']);
  expect(await apply(down, { direction: 'down' })).toEqual({ applied: 0, skipped: 2 });
  expect(await fixture.sql('SELECT * FROM cutover.applied_statement')).toEqual([]);
});

test('when nothing of the way up was done, the way down touches nothing and leaves no trace', async () => {
  const result = await apply(['DROP TABLE campaign'], { direction: 'down' });
  expect(result).toEqual({ applied: 0, skipped: 1 });
  expect(await columns()).toEqual(['id', 'name']);
  expect(await fixture.sql(`SELECT 1 FROM pg_namespace WHERE nspname = 'cutover'`)).toEqual([]);
});

test('after a part of the way up, what does not exist counts as undone', async () => {
  const up = ['ALTER TABLE campaign ADD COLUMN config jsonb', 'SELECT 1/0', 'CREATE TABLE extra (id int)'];
  await expect(apply(up)).rejects.toThrow(/division by zero/);
  const down = [
    'DROP INDEX CONCURRENTLY extra_index',
    'DROP TABLE extra',
    'ALTER TABLE extra DROP COLUMN more',
    'DROP FUNCTION derive(int)',
    'ALTER TABLE campaign DROP COLUMN config',
  ];
  expect(await apply(down, { direction: 'down' })).toEqual({ applied: 1, skipped: 4 });
  expect(await columns()).toEqual(['id', 'name']);
});

test('after the whole way up, a missing table on the way down is an error', async () => {
  await apply(['ALTER TABLE campaign ADD COLUMN config jsonb']);
  await expect(apply(['DROP TABLE extra'], { direction: 'down' })).rejects.toThrow(/extra.*does not exist/);
});

test('an undo that stopped half-way goes on where it stopped', async () => {
  await apply(['CREATE TABLE extra (id int)', 'ALTER TABLE campaign ADD COLUMN config jsonb']);
  const lock = await holdLock(fixture, 'extra');
  const down = ['ALTER TABLE campaign DROP COLUMN config', 'DROP TABLE extra'];
  const limits = { direction: 'down', lockTimeoutMs: 20, lockAttempts: 1 } as const;
  await expect(apply(down, limits)).rejects.toThrow(/statement 2 of 2/);
  await lock.release();
  expect(await apply(down, limits)).toEqual({ applied: 1, skipped: 1 });
});

test.each([
  ['COMMIT', /transactions are managed/],
  ['-- first\nBEGIN', /transactions are managed/],
  ['SET search_path = other', /does not reach the next statement/],
  ['SELECT 1; SELECT 2', /2 statements where one is expected/],
  ['  -- nothing', /the SQL is empty/],
  ['CREATE INDEX CONCURRENTLY ON campaign (name)', /needs a name/],
])('%j is refused before anything is run', async (statement, problem) => {
  await expect(apply(['ALTER TABLE campaign ADD COLUMN config jsonb', statement])).rejects.toThrow(problem);
  expect(await columns()).toEqual(['id', 'name']);
});

test('an error says at which line, and what to do', async () => {
  const statement = 'ALTER TABLE campaign\n  DROP COLUMN colour';
  await expect(apply([statement])).rejects.toThrow(
    /statement 1 of 1: column "colour" of relation "campaign" does not exist \(SQLSTATE 42703.*Check the spelling/,
  );
});
