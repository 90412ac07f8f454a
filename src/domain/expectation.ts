import { compare } from './compare.ts';
import type { Expectation } from './plan.ts';
import { plural } from './plural.ts';

/** Does what a validation query returned meet what the plan expects? `found` tells both in words. */
export function meetsExpectation(
  expect: Expectation,
  rows: Record<string, unknown>[],
): { passed: boolean; found: string } {
  switch (expect.kind) {
    case 'informational':
      return { passed: true, found: rowsInWords(rows.length) };
    case 'no-rows':
      return { passed: rows.length === 0, found: `${rowsInWords(rows.length)}, wanted none` };
    case 'values':
      return meetsValues(expect.values, rows[0]);
    case 'compare':
      return meetsComparison(expect, rows[0]);
  }
}

function meetsValues(wanted: Record<string, unknown>, row: Record<string, unknown> | undefined) {
  if (!row) return { passed: false, found: 'no row' };
  const parts = Object.entries(wanted).map(([column, value]) => {
    if (!(column in row)) return { same: false, text: `no column ${column}` };
    const same = sameValue(row[column], value);
    return { same, text: same ? `${column} ${value}` : `${column} ${String(row[column])}, wanted ${value}` };
  });
  return { passed: parts.every(({ same }) => same), found: parts.map(({ text }) => text).join('; ') };
}

function meetsComparison(
  { op, value }: Extract<Expectation, { kind: 'compare' }>,
  row: Record<string, unknown> | undefined,
) {
  const first = row && Object.values(row)[0];
  const number = typeof first === 'string' && first.trim() !== '' ? Number(first) : first;
  if (typeof number !== 'number' || Number.isNaN(number)) {
    return {
      passed: false,
      found: `${first === undefined ? 'no row' : String(first)}, wanted a number ${op} ${value}`,
    };
  }
  return { passed: compare(number, op, value), found: `${number}, wanted ${op} ${value}` };
}

/** Drivers give counts and decimals as text, so a number in the plan equals its text in the row. */
function sameValue(found: unknown, wanted: unknown): boolean {
  if (typeof wanted === 'number' && typeof found === 'string')
    return found.trim() !== '' && Number(found) === wanted;
  return found === wanted;
}

function rowsInWords(count: number): string {
  return count === 0 ? 'no rows' : plural(count, 'row');
}
