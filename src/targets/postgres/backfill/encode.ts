import type { BackfillColumn } from './table.ts';

/** A value that cannot be written to its column; the message is a clause about the value. */
export class Unencodable extends Error {
  override name = 'Unencodable';
}

/**
 * Turns what a transform wants written into text that casts to the column's type. `json` and `jsonb` take any JSON value
 * (so a string becomes a JSON string), array columns take arrays, `bytea` takes bytes, dates become ISO-8601; null is NULL.
 * @throws Unencodable
 */
export function encode(column: BackfillColumn, value: unknown): string | null {
  if (value === null) return null;
  if (column.kind === 'json') return encodeJson(value);
  if (Array.isArray(value)) {
    if (column.kind !== 'array')
      throw new Unencodable('an array can be written to json, jsonb and array columns only');
    return encodeArray(value);
  }
  return encodeScalar(value);
}

function encodeScalar(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return encodeString(value);
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      if (value instanceof Date) return encodeDate(value);
      if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
      throw new Unencodable('an object can be written to json and jsonb columns only');
    default:
      throw new Unencodable(`a ${typeof value} cannot be written to a column`);
  }
}

const SUSPECT = /[\0\ud800-\udfff]/;

/** Node would silently replace half a surrogate pair, and the server takes no NUL. */
function encodeString(value: string): string {
  if (!SUSPECT.test(value)) return value;
  if (value.includes('\0'))
    throw new Unencodable('the text holds a NUL character, which PostgreSQL cannot store');
  if (/\p{Surrogate}/u.test(value)) {
    throw new Unencodable('the text holds half a surrogate pair, which has no UTF-8 form');
  }
  return value;
}

function encodeDate(value: Date): string {
  if (Number.isNaN(value.getTime())) throw new Unencodable('the date is invalid');
  return value.toISOString();
}

function encodeJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
    // A number that JSON does not have turns into null; asking for each part is too slow to do it for every value.
    if (text?.includes('null')) JSON.stringify(value, refuseNonFinite);
  } catch (error) {
    throw new Unencodable(
      `the value cannot be written as JSON: ${error instanceof Error ? error.message : error}`,
    );
  }
  if (text === undefined) throw new Unencodable(`a ${typeof value} cannot be written as JSON`);
  return text;
}

function refuseNonFinite(_: string, part: unknown): unknown {
  if (typeof part === 'number' && !Number.isFinite(part)) throw new Error(`JSON has no number ${part}`);
  return part;
}

function encodeArray(values: readonly unknown[]): string {
  const elements = values.map((value) => {
    if (value === null || value === undefined) return 'NULL';
    if (Array.isArray(value)) return encodeArray(value);
    return `"${encodeScalar(value).replaceAll(/["\\]/g, '\\$&')}"`;
  });
  return `{${elements.join(',')}}`;
}
