import { encode, Unencodable } from '../../targets/postgres/backfill/encode.ts';
import type { BackfillColumn } from '../../targets/postgres/backfill/table.ts';
import type { Row } from '../../targets/target.ts';
import { ambiguous, failed, type RowOutcome, type Transform, type TransformRow } from './definition.ts';

/** What a transform decided about a row, once it was looked at. */
export type DerivedOutcome =
  | {
      outcome: 'migrated';
      columns: readonly BackfillColumn[];
      /** Encoded, in the order of the columns. */
      values: (string | null)[];
      /** As the transform gave them. */
      given: Row;
    }
  | Exclude<RowOutcome, { outcome: 'migrated' | 'failed' }>
  | {
      outcome: 'failed';
      reason: string;
      /** What kind of error the transform threw, when it did. */
      thrown?: string;
    };

/** Runs the transform over a row. Whatever it throws, or returns by mistake, fails that row alone. */
export function deriveOne(
  transform: Transform,
  row: TransformRow,
  lookups: unknown,
  written: readonly BackfillColumn[],
): DerivedOutcome {
  try {
    return checkOutcome(transform.transform(row, lookups), written);
  } catch (error) {
    const thrown = error instanceof Error ? error.name : `a ${typeof error}`;
    return { ...failed(`the transform threw: ${wordsOf(error)}`), thrown };
  }
}

/** Anything can be thrown, also what has no text. */
export function wordsOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } catch {
    return `a ${typeof thrown} without a text`;
  }
}

/** Transforms may come from JavaScript, or lie about their types: what they return is looked at before it is trusted. */
function checkOutcome(given: unknown, written: readonly BackfillColumn[]): DerivedOutcome {
  if (given instanceof Promise) {
    given.catch(() => undefined);
    return failed(
      'the transform returned a promise; it must answer at once, so move its queries to `prefetch`',
    );
  }
  const { outcome, reason, values, suggestion } = (given ?? {}) as Record<string, unknown>;
  switch (outcome) {
    case 'migrated':
      return checkValues(values, written);
    case 'skipped':
      return { outcome, reason: reason === undefined ? undefined : String(reason) };
    case 'ambiguous':
      if (typeof reason !== 'string')
        return failed('the transform called the row ambiguous without a reason');
      return isJson(suggestion)
        ? ambiguous(reason, suggestion)
        : failed(`ambiguous (${reason}), with a suggestion that cannot be written as JSON`);
    case 'failed':
      return failed(typeof reason === 'string' ? reason : 'the transform gave no reason');
    default:
      return failed(
        `the transform returned ${show(given)}; it must return migrated(values), skipped(reason), ` +
          'ambiguous(reason, suggestion) or failed(reason)',
      );
  }
}

function checkValues(given: unknown, written: readonly BackfillColumn[]): DerivedOutcome {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return failed(`migrated() takes an object of column values, not ${show(given)}`);
  }
  const values = given as Row;
  const columns = givenColumns(values, written);
  if (columns.length < Object.keys(values).length) {
    const unknown = undeclared(values, written);
    if (unknown.length > 0) {
      const names = written.map((column) => column.name).join(', ');
      return failed(
        `the transform wrote "${unknown.join('", "')}", which it does not declare; it writes ${names}`,
      );
    }
  }
  if (columns.length === 0) {
    return failed('migrated() without any value; return skipped() for a row that needs nothing');
  }
  try {
    const texts = columns.map((column) => encodeForColumn(column, values[column.name]));
    return { outcome: 'migrated', columns, values: texts, given: values };
  } catch (error) {
    if (error instanceof Unencodable) return failed(error.message);
    throw error;
  }
}

/** The very same list for rows that write all columns, as most transforms do: rows are told apart by it. */
function givenColumns(values: Row, written: readonly BackfillColumn[]): readonly BackfillColumn[] {
  for (const column of written) {
    if (!isGiven(values, column)) return written.filter((each) => isGiven(values, each));
  }
  return written;
}

function isGiven(values: Row, { name }: BackfillColumn): boolean {
  return values[name] !== undefined && Object.hasOwn(values, name);
}

function undeclared(values: Row, written: readonly BackfillColumn[]): string[] {
  return Object.keys(values).filter(
    (name) => values[name] !== undefined && !written.some((column) => column.name === name),
  );
}

/** As {@link encode}. @throws Unencodable, which names the column. */
export function encodeForColumn(column: BackfillColumn, value: unknown): string | null {
  try {
    return encode(column, value);
  } catch (error) {
    if (!(error instanceof Unencodable)) throw error;
    throw new Unencodable(`column "${column.name}" (${column.type}): ${error.message}`);
  }
}

function isJson(value: unknown): boolean {
  if (value === undefined) return true;
  try {
    return JSON.stringify(value) !== undefined;
  } catch {
    return false;
  }
}

function show(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== 'object') return `a ${typeof value}`;
  return Array.isArray(value)
    ? 'an array'
    : `an object with ${Object.keys(value).join(', ') || 'no properties'}`;
}
