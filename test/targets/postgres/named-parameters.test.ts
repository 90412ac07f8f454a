import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeOf, lex } from '../../../src/domain/sql-lexer.ts';
import { bindNamedParameters } from '../../../src/targets/postgres/named-parameters.ts';
import { type Fixture, startFixture } from './fixture.ts';

const known = { since: 'yesterday', run_id: 'run-1' };

describe('what is a parameter', () => {
  test.each([
    ['SELECT :since', 'SELECT $1', ['yesterday']],
    [
      'WHERE a > :since AND r=:run_id AND b < :since',
      'WHERE a > $1 AND r=$2 AND b < $1',
      ['yesterday', 'run-1'],
    ],
    ['SELECT :since::date, now()::since', 'SELECT $1::date, now()::since', ['yesterday']],
    [`SELECT ':since', "a:since", :run_id`, `SELECT ':since', "a:since", $1`, ['run-1']],
    [`SELECT 'it''s :since'`, `SELECT 'it''s :since'`, []],
    [String.raw`SELECT E'\' :since', :run_id`, String.raw`SELECT E'\' :since', $1`, ['run-1']],
    [String.raw`SELECT '\', :run_id, '\'`, String.raw`SELECT '\', $1, '\'`, ['run-1']],
    [
      `SELECT $$ :since $$, $x$ $$ :since $x$, :run_id`,
      `SELECT $$ :since $$, $x$ $$ :since $x$, $1`,
      ['run-1'],
    ],
    ['SELECT 1 -- :since\n, :run_id', 'SELECT 1 -- :since\n, $1', ['run-1']],
    ['SELECT /* a /* :since */ :since */ :run_id', 'SELECT /* a /* :since */ :since */ $1', ['run-1']],
    ['SELECT a[low:since], b[1:2], c[:run_id]', 'SELECT a[low:since], b[1:2], c[$1]', ['run-1']],
    ['SELECT f(since := 1)', 'SELECT f(since := 1)', []],
    ['SELECT x$1, y$z$ FROM t$since$', 'SELECT x$1, y$z$ FROM t$since$', []],
  ])('%s', (sql, text, values) => {
    expect(bindNamedParameters(sql, known)).toEqual({ text, values });
  });
});

test('an unknown name is refused with those that exist', () => {
  expect(() => bindNamedParameters('SELECT :sinse', known)).toThrow(
    'the SQL uses :sinse, which is no parameter; known here: :since, :run_id',
  );
  expect(() => bindNamedParameters('SELECT :toString', {})).toThrow(
    /:toString, which is no parameter; known here: none/,
  );
});

test('positional parameters are refused, as their numbers would clash', () => {
  expect(() => bindNamedParameters('SELECT $1', known)).toThrow(/uses \$1; parameters go by name/);
});

test('null is a value', () => {
  expect(bindNamedParameters('SELECT :x', { x: null })).toEqual({ text: 'SELECT $1', values: [null] });
});

test('segments are the text again, whatever the text', () => {
  const pieces = fc.constantFrom(
    `'`,
    '"',
    '$',
    '$a$',
    '$$',
    '--',
    '\n',
    '/*',
    '*/',
    '\\',
    'E',
    ':a',
    '::',
    ';',
    ' ',
    'x',
    'é',
  );
  fc.assert(
    fc.property(fc.array(pieces), (parts) => {
      const sql = parts.join('');
      expect(
        lex(sql)
          .map(({ text }) => text)
          .join(''),
      ).toBe(sql);
    }),
  );
});

test('the code of a statement is free of remarks and data', () => {
  expect(codeOf(`/* x */ CREATE -- y\n INDEX "a--b" ON t ('z')`)).toBe(`CREATE  \n INDEX "a--b" ON t ('')`);
});

describe('against the server', () => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await startFixture();
  });
  afterAll(() => fixture.stop());

  /** An expression that holds a colon and a name wherever they are no parameter, with the text that it must yield. */
  const dataWithColons = fc.string({ minLength: 0, maxLength: 8 }).map((text) => text.replaceAll('\0', ''));
  const expression = fc.oneof(
    dataWithColons.map((text) => ({ sql: `'${text.replaceAll("'", "''")} :v'`, text: `${text} :v` })),
    dataWithColons.map((text) => ({
      sql: `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")} :v'`,
      text: `${text} :v`,
    })),
    dataWithColons.map((text) => ({
      sql: `$q$${text.replaceAll('$', '')} :v$q$`,
      text: `${text.replaceAll('$', '')} :v`,
    })),
    fc.constantFrom(
      { sql: `/* :v /* ' */ */ 'c'::text`, text: 'c' },
      { sql: `'d' -- :v '\n`, text: 'd' },
      { sql: `(SELECT ":v" FROM (VALUES ('e')) AS t(":v"))`, text: 'e' },
    ),
    fc.constant({ sql: ':v::text', text: undefined }),
  );

  test('only parameters are replaced, and every one of them', async () => {
    await fixture.target.session({}, async (session) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(expression, { minLength: 1, maxLength: 6 }),
          dataWithColons,
          async (list, value) => {
            const sql = `SELECT ARRAY[${list.map(({ sql }) => sql).join(', ')}]::text[] AS found`;
            const { text, values } = bindNamedParameters(sql, { v: value });
            const { rows } = await session.query<{ found: string[] }>(text, values);
            expect(rows[0]?.found).toEqual(list.map(({ text }) => text ?? value));
          },
        ),
        { numRuns: 150 },
      );
    });
  });
});
