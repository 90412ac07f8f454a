import { expect, test } from 'vitest';
import { isClosed, namesIn } from '../../src/domain/sql-lexer.ts';

test('the names that SQL mentions are folded unless quoted; strings, comments and numbers hold none', () => {
  const sql = `Total IS NULL AND "Odd ""Name" <> 'secret' -- remark
    AND o.größe > 1e5 /* nothing /* here */ */ AND tag = $x$ body $x$`;
  expect([...namesIn(sql)].sort()).toEqual(['Odd "Name', 'and', 'größe', 'is', 'null', 'o', 'tag', 'total']);
});

test.each([
  ['a = 1', true],
  [`(a = ')') AND "(" > 1 -- )`, true],
  ['a[1] = f(b, (c))', true],
  ['false) OR (true', false],
  ['(a', false],
  ['a)', false],
])('the expression %s is closed: %s', (sql, closed) => {
  expect(isClosed(sql)).toBe(closed);
});
