import type { BackfillColumn } from './table.ts';

/** A value as a transform sees it. */
export type RowValue = null | boolean | number | string | RowValue[] | { [name: string]: RowValue };

/**
 * Turns a column's text into what a transform sees: `json` and `jsonb` parsed, `smallint` and `integer` as number, `boolean`
 * as boolean, `timestamptz` as ISO-8601 in UTC (`2025-01-15T10:30:00Z`, with up to six digits of fraction where it is not
 * zero), `timestamp` likewise but without the Z, NULL as null, and all else as the database writes it: `bigint` and
 * `numeric` keep all their digits that way.
 */
export function decode(column: BackfillColumn, text: string | null): RowValue {
  if (text === null) return null;
  switch (column.kind) {
    case 'json':
      return JSON.parse(text) as RowValue;
    case 'integer':
      return Number(text);
    case 'boolean':
      return text === 'true' || text === 't';
    case 'timestamptz':
    case 'timestamp':
      return isoTimestamp(text);
    default:
      return text;
  }
}

/** `infinity` and years before Christ have no ISO form here and stay as they are. */
function isoTimestamp(text: string): string {
  const match = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(\+00)?$/.exec(text);
  return match ? `${match[1]}T${match[2]}${match[3] ? 'Z' : ''}` : text;
}
