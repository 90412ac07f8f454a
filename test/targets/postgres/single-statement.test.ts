import { expect, test } from 'vitest';
import { singleStatement, splitStatements } from '../../../src/targets/postgres/single-statement.ts';

test.each([
  ['SELECT 1', 'SELECT 1'],
  ['  SELECT 1 ;  ', 'SELECT 1'],
  [`SELECT ';' AS a; -- the end;`, `SELECT ';' AS a`],
  ['DO $$ BEGIN PERFORM 1; PERFORM 2; END $$;', 'DO $$ BEGIN PERFORM 1; PERFORM 2; END $$'],
  [
    'CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)',
    'CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)',
  ],
  [
    'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;',
    'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END',
  ],
])('%s is one statement', (sql, statement) => {
  expect(singleStatement(sql)).toBe(statement);
});

test.each(['', '  \n', '-- nothing', '/* nothing; */ ;;'])('%j is none', (sql) => {
  expect(() => singleStatement(sql)).toThrow('the SQL is empty');
});

test('more than one statement is refused, saying where the second begins', () => {
  expect(() => singleStatement('SELECT 1; DROP TABLE campaign')).toThrow(
    'the SQL holds 2 statements where one is expected; the second begins with "DROP TABLE campaign"',
  );
});

test('a script splits at the semicolons between statements only', () => {
  expect(splitStatements(`SELECT 'a;b'; BEGIN; SELECT "c;d" /* ; */;\n-- end\n`)).toEqual([
    `SELECT 'a;b'`,
    'BEGIN',
    'SELECT "c;d" /* ; */',
  ]);
});
