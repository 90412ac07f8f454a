import type { BackfillColumn } from '../../targets/postgres/backfill/table.ts';
import type { Row } from '../../targets/target.ts';
import { suggestedValues } from './values.ts';

/** Stands in for a value that the plan wants to see nowhere. */
export const REDACTED = '[redacted]';

/** Shorter values are only taken for themselves where they stand alone, or every text would be full of holes. */
const TELLING_LENGTH = 3;

/** The row with the values of these columns left out; a NULL stays one. */
export function redactRow(row: Row, redact: readonly string[]): Row {
  if (redact.length === 0) return row;
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [
      column,
      value !== null && redact.includes(column) ? REDACTED : value,
    ]),
  );
}

/** A text that somebody wrote about the row, without what its redacted columns hold. */
export function redactText(text: string, row: Row, redact: readonly string[]): string {
  return redact
    .flatMap((column) => textsIn(row[column]))
    .sort((a, b) => b.length - a.length)
    .reduce(without, text);
}

/**
 * What a transform suggests for the row, without the values of redacted columns: those that it would write by their
 * names, those that it has read wherever they stand.
 * @param written columns that the transform writes.
 */
export function redactSuggestion(
  suggestion: unknown,
  row: Row,
  written: readonly BackfillColumn[],
  redact: readonly string[],
): unknown {
  if (redact.length === 0 || suggestion === undefined || suggestion === null) return suggestion;
  const byColumn = suggestedValues(suggestion, written);
  if (!byColumn) return redactDeeply(suggestion, row, redact);
  const shown = redactDeeply(redactRow(byColumn, redact), row, redact) as Row;
  return byColumn === suggestion ? shown : Object.values(shown)[0];
}

function redactDeeply(value: unknown, row: Row, redact: readonly string[]): unknown {
  if (typeof value === 'string') return redactText(value, row, redact);
  if (typeof value === 'number' || typeof value === 'bigint') {
    return redactText(String(value), row, redact) === String(value) ? value : REDACTED;
  }
  if (Array.isArray(value)) return value.map((one) => redactDeeply(one, row, redact));
  if (!isRecord(value)) return value;
  const parts = Object.entries(value);
  return Object.fromEntries(
    parts.map(([name, one]) => [redactText(name, row, redact), redactDeeply(one, row, redact)]),
  );
}

function isRecord(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every text and number of a column's value, which may be JSON; texts also as JSON has them. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return value === '' ? [] : [value, JSON.stringify(value).slice(1, -1)];
  if (typeof value === 'number' || typeof value === 'bigint') return [String(value)];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

function without(text: string, value: string): string {
  if (value.length >= TELLING_LENGTH) return text.replaceAll(value, REDACTED);
  const alone = new RegExp(`(?<![\\p{L}\\p{N}])${escaped(value)}(?![\\p{L}\\p{N}])`, 'gu');
  return text.replaceAll(alone, REDACTED);
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
