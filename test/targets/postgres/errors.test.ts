import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPostgresTarget } from '../../../src/targets/postgres/connection.ts';
import {
  classifySqlError,
  describeSqlError,
  StillBusyError,
  sqlState,
} from '../../../src/targets/postgres/errors.ts';
import { type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await startFixture();
  await fixture.sql(
    `CREATE TABLE account (id int PRIMARY KEY, email text UNIQUE NOT NULL CHECK (email LIKE '%@%'))`,
  );
  await fixture.sql(`INSERT INTO account VALUES (1, 'ann@example.org')`);
  await fixture.sql(`CREATE ROLE nobody_${process.pid}`);
});
afterAll(async () => {
  await fixture.sql(`DROP ROLE nobody_${process.pid}`);
  await fixture.stop();
});

const fail = (sql: string): Promise<unknown> =>
  fixture.target
    .session({}, (session) => session.query(sql))
    .then(
      () => expect.fail(`no error from ${sql}`),
      (error: unknown) => error,
    );

const raise = (state: string) => `DO $$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = '${state}'; END $$`;

describe('kinds of errors', () => {
  test.each([
    ['row', `INSERT INTO account VALUES (1, 'x@y')`],
    ['row', `INSERT INTO account VALUES (2, NULL)`],
    ['row', `INSERT INTO account VALUES (2, 'no address')`],
    ['row', `SELECT 'abc'::int`],
    ['row', 'SELECT 1/0'],
    ['row', 'SELECT (SELECT n FROM generate_series(1, 2) n)'],
    ['row', `DO $$ BEGIN RAISE EXCEPTION 'not this row'; END $$`],
    ['permanent', 'SELEC 1'],
    ['permanent', 'SELECT colour FROM account'],
    ['permanent', 'SELECT * FROM acount'],
    ['permanent', `SET ROLE nobody_${process.pid}; SELECT * FROM account`],
    ['permanent', 'BEGIN READ ONLY; DELETE FROM account'],
    ['retryable', 'SET statement_timeout = 10; SELECT pg_sleep(60)'],
    ['retryable', 'SELECT pg_terminate_backend(pg_backend_pid())'],
    ['retryable', raise('40001')],
    ['retryable', raise('40P01')],
    ['retryable', raise('55P03')],
    ['retryable', raise('53100')],
    ['retryable', raise('57P03')],
    ['retryable', raise('08006')],
  ])('%s: %s', async (kind, sql) => {
    expect(classifySqlError(await fail(sql))).toBe(kind);
  });

  test('a server that is not there is retryable, and the text says what to check', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    server.close();
    await once(server, 'close');
    const port = typeof address === 'object' ? address?.port : undefined;
    const target = createPostgresTarget({
      name: 'gone',
      url: `postgres://a@localhost:${port}/b`,
      poolSize: 1,
    });
    const error = await target.session({}, async () => undefined).catch((caught: unknown) => caught);
    expect(classifySqlError(error)).toBe('retryable');
    expect(describeSqlError(error)).toMatch(/ECONNREFUSED.*check that it is up/);
  });

  test('a database that does not exist is permanent', async () => {
    const url = new URL(fixture.url);
    url.pathname = '/no_such_database';
    const target = createPostgresTarget({ name: 'none', url: url.href, poolSize: 1 });
    const error = await target.session({}, async () => undefined).catch((caught: unknown) => caught);
    expect(classifySqlError(error)).toBe('permanent');
    expect(describeSqlError(error)).toMatch(/no_such_database.*Check the database name/);
  });

  test('an error that wraps the server’s is of the same kind', async () => {
    const wrapped = new Error('batch 7', { cause: new Error('row 3', { cause: await fail('SELECT 1/0') }) });
    expect(classifySqlError(wrapped)).toBe('row');
    expect(sqlState(wrapped)).toBe('22012');
  });

  test('what is no fault of the database is permanent', () => {
    expect(classifySqlError(new TypeError('x is not a function'))).toBe('permanent');
    expect(classifySqlError('a string')).toBe('permanent');
    expect(sqlState(new Error('plain'))).toBeUndefined();
  });

  test('somebody else being at it counts as a lock that is not available', () => {
    expect(sqlState(new StillBusyError('busy'))).toBe('55P03');
    expect(classifySqlError(new StillBusyError('busy'))).toBe('retryable');
  });
});

test('a description names the table and the constraint, and keeps values of rows to itself unless asked', async () => {
  const error = await fail(`INSERT INTO account VALUES (2, 'ann@example.org')`);
  expect(describeSqlError(error)).toBe(
    'duplicate key value violates unique constraint "account_email_key" ' +
      '(SQLSTATE 23505; table public.account; constraint account_email_key). ' +
      'Find the duplicates before the unique index or constraint is made',
  );
  expect(describeSqlError(error, { rowData: true })).toContain(
    'Key (email)=(ann@example.org) already exists',
  );
});

test('a value that data was refused for is a row’s, unless the statement holds it', async () => {
  await fixture.sql(`CREATE TABLE secret AS SELECT 'a "quoted" secret' AS word`);
  const statement = 'SELECT word::int FROM secret';
  const error = await fail(statement);
  expect(describeSqlError(error, { statement })).toBe(
    'invalid input syntax for type integer: "…" (SQLSTATE 22P02)',
  );
  expect(describeSqlError(error, { rowData: true })).toContain('"a "quoted" secret"');
  const own = `SELECT 'seven'::int`;
  expect(describeSqlError(await fail(own), { statement: own })).toContain('integer: "seven"');
  await fixture.sql('DROP TABLE secret');
});

test('a description keeps the details of errors that concern no row', async () => {
  await fixture.sql('CREATE VIEW emails AS SELECT email FROM account');
  const error = await fail('DROP TABLE account');
  expect(describeSqlError(error)).toMatch(/view emails depends on table account.*DROP \.\.\. CASCADE/);
  await fixture.sql('DROP VIEW emails');
});
