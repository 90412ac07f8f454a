import { decode } from '../targets/postgres/backfill/decode.ts';
import { encode, Unencodable } from '../targets/postgres/backfill/encode.ts';
import type { TextRow } from '../targets/postgres/backfill/read-range.ts';
import { readOnly } from '../targets/postgres/backfill/savepoint.ts';
import type { BackfillColumn, Key } from '../targets/postgres/backfill/table.ts';
import type { Row, Session } from '../targets/target.ts';
import {
  ambiguous,
  failed,
  type ReadQuery,
  type RowOutcome,
  type Transform,
  type TransformRow,
} from './transform.ts';

/** A row with what its transform decided; the values of a migrated row are encoded, in the order of the columns. */
export type Derived = { key: Key; row: TransformRow; outcome: DerivedOutcome };

export type DerivedOutcome =
  | { outcome: 'migrated'; columns: BackfillColumn[]; values: (string | null)[]; given: Row }
  | Exclude<RowOutcome, { outcome: 'migrated' }>;

/** Runs the transform over the rows. No row can fail the batch; a failing prefetch does. */
export async function derive(
  session: Session,
  transform: Transform,
  reads: readonly BackfillColumn[],
  written: readonly BackfillColumn[],
  rows: readonly TextRow[],
): Promise<Derived[]> {
  const decoded = rows.map((row) => decodeRow(reads, row));
  const lookups = await prefetch(session, transform, decoded);
  return decoded.map((row, i) => ({
    key: rows[i]?.key ?? [],
    row,
    outcome: deriveOne(transform, row, lookups, written),
  }));
}

export function decodeRow(reads: readonly BackfillColumn[], { cells }: Pick<TextRow, 'cells'>): TransformRow {
  return Object.fromEntries(reads.map((column, i) => [column.name, decode(column, cells[i] ?? null)]));
}

async function prefetch(session: Session, transform: Transform, rows: TransformRow[]): Promise<unknown> {
  if (!transform.prefetch || rows.length === 0) return undefined;
  const query: ReadQuery = async <T>(text: string, values?: readonly unknown[]) =>
    (await session.query<T>(text, values)).rows;
  try {
    return await readOnly(session, () => unlessAborted(session, transform.prefetch?.(rows, query)));
  } catch (error) {
    session.signal?.throwIfAborted();
    throw new Error(
      `the prefetch of transform ${transform.name}@${transform.version} failed: ${wordsOf(error)}`,
      { cause: error },
    );
  }
}

/** What asks somebody else than the database, and gets no answer, must hold up neither a pause nor a rollback. */
async function unlessAborted<T>({ signal }: Session, work: Promise<T> | undefined): Promise<T | undefined> {
  if (!signal) return work;
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function deriveOne(
  transform: Transform,
  row: TransformRow,
  lookups: unknown,
  written: readonly BackfillColumn[],
): DerivedOutcome {
  try {
    return checkOutcome(transform.transform(row, lookups), written);
  } catch (error) {
    return failed(`the transform threw: ${wordsOf(error)}`);
  }
}

/** Anything can be thrown, also what has no text. */
function wordsOf(thrown: unknown): string {
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
  const values = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const names = written.map((column) => column.name);
  const unknown = Object.keys(values).filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    return failed(
      `the transform wrote "${unknown.join('", "')}", which it does not declare; it writes ${names.join(', ')}`,
    );
  }
  const columns = written.filter((column) => column.name in values);
  if (columns.length === 0) {
    return failed('migrated() without any value; return skipped() for a row that needs nothing');
  }
  try {
    const texts = columns.map((column) => encodeFor(column, values[column.name]));
    return { outcome: 'migrated', columns, values: texts, given: values };
  } catch (error) {
    if (error instanceof Unencodable) return failed(error.message);
    throw error;
  }
}

function encodeFor(column: BackfillColumn, value: unknown): string | null {
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
