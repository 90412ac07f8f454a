import { afterAll, beforeAll, expect, test } from 'vitest';
import { measureSqlGate } from '../../src/gates/sql-gate.ts';
import { type Fixture, startFixture } from '../targets/postgres/fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await startFixture();
  await fixture.sql('CREATE TABLE request (at timestamptz, failed boolean, ms int)');
  await fixture.sql(`INSERT INTO request VALUES
    ('2025-01-01T10:00Z', true, 900), ('2025-01-01T11:00Z', false, 100), ('2025-01-01T11:01Z', true, 301)`);
});
afterAll(() => fixture.stop());

const parameters = { since: new Date('2025-01-01T10:30Z'), run_id: 'run-1', percentage: 10 };
const measure = (sql: string, options = {}) =>
  measureSqlGate(fixture.target, { name: 'errors', sql }, parameters, options);

test.each([
  ['SELECT 100.0 * count(*) FILTER (WHERE failed) / count(*) AS rate FROM request WHERE at >= :since', 50],
  ['SELECT avg(ms) AS average, count(*) AS "1" FROM request WHERE at >= :since', 200.5],
  ['SELECT count(*) FROM request', 3],
  ['SELECT :percentage::numeric', 10],
  [`SELECT ' 1.5e2 '`, 150],
  ['VALUES (0)', 0],
])('%s measures %d', async (sql, value) => {
  expect(await measure(sql)).toEqual({ kind: 'value', value });
});

test.each(['SELECT ms FROM request WHERE false', 'SELECT avg(ms) FROM request WHERE false'])(
  '%s has nothing to measure',
  async (sql) => {
    expect(await measure(sql)).toEqual({ kind: 'no-data' });
  },
);

test.each([
  [`SELECT 'many' AS errors`, /column "errors" is a string that is not a number/],
  [`SELECT '' AS errors`, /not a number/],
  [`SELECT 'NaN'::numeric AS errors`, /not a number/],
  ['SELECT true', /not a number/],
  [`SELECT '1 day'::interval`, /not a number/],
  ['SELECT FROM request', /returns no column/],
  ['SELECT count(*), count(ms) FROM request', /two columns of the query are called "count"/],
  ['SELECT colour FROM request', /column "colour" does not exist .*Check the spelling/],
  ['SELECT :until', /:until, which is no parameter; known here: :since, :run_id, :percentage/],
  ['DELETE FROM request RETURNING 1', /the query writes/],
])('%s is an error measurement', async (sql, message) => {
  expect(await measure(sql)).toEqual({ kind: 'error', message: expect.stringMatching(message) });
});

test('a measurement that takes too long is an error', async () => {
  expect(await measure('SELECT pg_sleep(600)', { timeoutMs: 50 })).toEqual({
    kind: 'error',
    message: expect.stringMatching(/statement timeout/),
  });
});

test('an abort is no measurement', async () => {
  const reason = new Error('the worker shuts down');
  await expect(measure('SELECT 1', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});
