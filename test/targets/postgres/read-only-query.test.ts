import { afterAll, beforeAll, expect, test } from 'vitest';
import { readOnlyQuery } from '../../../src/targets/postgres/read-only-query.ts';
import { type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await startFixture();
  await fixture.sql('CREATE TABLE event (id int PRIMARY KEY, at timestamptz)');
  await fixture.sql(`INSERT INTO event VALUES (1, '2025-01-01Z'), (2, '2025-02-01Z')`);
});
afterAll(() => fixture.stop());

const query = (sql: string, parameters = {}, options = {}) =>
  readOnlyQuery(fixture.target, sql, parameters, options);

test('runs one statement with its parameters', async () => {
  const since = new Date('2025-01-15Z');
  const result = await query('SELECT id FROM event WHERE at > :since; -- recent', { since, run_id: 'x' });
  expect(result).toEqual({ rows: [{ id: 2 }], rowCount: 1, columns: ['id'] });
});

test.each([
  `INSERT INTO event VALUES (3, now())`,
  'WITH gone AS (DELETE FROM event RETURNING id) SELECT count(*) FROM gone',
  'CREATE TABLE other (id int)',
  'SELECT * INTO other FROM event',
])('%s is refused, because it writes', async (sql) => {
  await expect(query(sql)).rejects.toThrow(
    /^the query writes: .*read-only transaction.*Only statements that read/,
  );
  expect(await fixture.sql('SELECT count(*)::int AS n FROM event')).toEqual([{ n: 2 }]);
});

test('a second statement that would leave the read-only transaction is refused', async () => {
  await expect(query('SELECT 1; COMMIT; DELETE FROM event')).rejects.toThrow(/holds 3 statements/);
});

test('an error says what, where and what to do', async () => {
  await expect(query('SELECT id\n  FROM event\n WHERE colour = 1')).rejects.toThrow(
    'column "colour" does not exist (SQLSTATE 42703; line 3 of the statement). ' +
      'Check the spelling of the column, and that the phase that adds it comes earlier in the plan',
  );
});

test('a query that takes too long is ended by the server', async () => {
  await expect(query('SELECT pg_sleep(600)', {}, { timeoutMs: 50 })).rejects.toThrow(
    /statement timeout.*57014/,
  );
});

test('an abort rejects with its reason', async () => {
  const reason = new Error('stop');
  const work = query('SELECT pg_sleep(600)', {}, { signal: AbortSignal.abort(reason) });
  await expect(work).rejects.toBe(reason);
});
