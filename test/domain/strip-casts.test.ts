import { expect, it } from 'vitest';
import { stripCasts } from '../../src/domain/strip-casts.ts';

it.each([
  ['total::numeric', 'total'],
  ['total::numeric(12, 2)', 'total'],
  ['orders.total::text::numeric(12,2)', 'orders.total'],
  ['("Total")::numeric', '"Total"'],
  ['CAST(total AS numeric(12,2))', 'total'],
  ['cast((total::text) as int)', 'total'],
  [`(payload ->> 'total')::numeric -- in euros`, `payload ->> 'total'`],
  [`(payload ->> 'a::b')::numeric`, `payload ->> 'a::b'`],
  ['trim(total)::numeric', 'trim(total)'],
  ['at::timestamp without time zone', 'at'],
  ['tags::text[]', 'tags'],
  ['tags[1]::int', 'tags[1]'],
  [`'12.5'::numeric`, `'12.5'`],
  ['/* cents */ total', 'total'],
])('of %s the operand is %s', (expression, operand) => {
  expect(stripCasts(expression)).toBe(operand);
});

it.each([
  'a + b::int',
  'a::int + b',
  `payload ->> 'total'::text`,
  '- total::int',
  'round(total::numeric, 2)',
  `coalesce(total::numeric, 0)`,
  'CASE WHEN a THEN b::int ELSE c::int END',
  '(a)::int + (b)::int',
  `a || ' AS ' || b`,
  'a::int = b::int',
])('%s is more than casts', (expression) => {
  expect(stripCasts(expression)).toBe(expression);
});
