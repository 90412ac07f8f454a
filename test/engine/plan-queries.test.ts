import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Phase } from '../../src/domain/plan.ts';
import { checkQuery } from '../../src/engine/preflight/plan-queries.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import { type Bench, openBench } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
  await bench.sql('CREATE TABLE people (id int PRIMARY KEY, first text, born date)');
});
afterAll(() => bench.close());

const PARAMETERS = { since: new Date(0), percentage: 0, run_id: '' };
const earlier: Phase[] = parsePlan({
  name: 'p',
  target: 'app',
  phases: [
    {
      kind: 'schema',
      name: 'expand',
      up: ['ALTER TABLE people ADD COLUMN full_name text', 'CREATE TABLE app."Audit" (at timestamptz)'],
      pointOfNoReturn: true,
    },
    { kind: 'backup', name: 'backup', tables: [{ table: 'people', as: 'people_before' }] },
  ],
}).phases;

const check = (sql: string) => checkQuery(bench.target, sql, PARAMETERS, earlier);

describe('a query that a plan runs later', () => {
  it.each([
    'SELECT id FROM people WHERE first IS NULL',
    'SELECT count(*) FROM people WHERE born > :since',
    "SELECT :percentage::int + 1 WHERE :run_id <> ''",
    `(SELECT id FROM people) UNION ALL VALUES (1)`,
    'WITH p AS (SELECT * FROM people) SELECT count(*) FROM p;',
    'TABLE people',
    'SHOW server_version',
  ])('is fine: %s', async (sql) => {
    expect(await check(sql)).toEqual({ kind: 'fine' });
  });

  it.each([
    [
      'a column that a phase before it adds',
      'SELECT id FROM people p WHERE p.full_name IS NULL',
      'full_name',
    ],
    ['a table that a phase before it adds', 'SELECT at FROM app."Audit"', 'Audit'],
    ['a copy that a phase before it makes', 'SELECT count(*) FROM people_before', 'people_before'],
    ["Cutover's own tables", 'SELECT key FROM cutover.exception WHERE run_id = :run_id', 'cutover.exception'],
  ])('that needs %s cannot be checked yet', async (_, sql, name) => {
    expect(await check(sql)).toEqual({ kind: 'not-yet', why: expect.stringContaining(name) });
  });

  it.each([
    [
      'names a column that nobody adds',
      'SELECT ful_name FROM people',
      /column "ful_name" does not exist.*Check the spelling of the column/,
    ],
    [
      'names a table that nobody adds',
      'SELECT 1 FROM peeple',
      /relation "peeple" does not exist.*Check the spelling of the table/,
    ],
    [
      'names a function that nobody adds',
      'SELECT fullname(first) FROM people',
      /function fullname\(text\) does not exist/,
    ],
    ['compares what cannot be compared', 'SELECT id FROM people WHERE born > 5', /operator does not exist/],
    ['is no SQL', 'SELECT FROM WHERE', /syntax error.*line 1/],
    ['is two statements', 'SELECT 1; SELECT 2', /2 statements where one is expected/],
    [
      'uses a parameter that there is none of',
      'SELECT :until',
      /:until, which is no parameter; known here: :since, :percentage, :run_id/,
    ],
    ['writes', 'DELETE FROM people', /only statements that read/],
    [
      'writes on the side',
      'WITH gone AS (DELETE FROM people RETURNING id) SELECT count(*) FROM gone',
      /only statements that read/,
    ],
  ])('that %s is wrong', async (_, sql, why) => {
    expect(await check(sql)).toEqual({ kind: 'wrong', why: expect.stringMatching(why) });
  });

  it('is planned, not run', async () => {
    expect(await check('SELECT 1 / (id - id) FROM people, pg_sleep(60)')).toEqual({ kind: 'fine' });
  });
});
