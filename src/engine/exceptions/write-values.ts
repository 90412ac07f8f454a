import { insertRange } from '../../targets/postgres/backfill/insert-range.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { BackfillColumn, Key } from '../../targets/postgres/backfill/table.ts';
import { updateRange } from '../../targets/postgres/backfill/update-range.ts';
import { writeRows } from '../../targets/postgres/backfill/write-rows.ts';
import { quoteLiteral } from '../../targets/postgres/catalog.ts';
import type { Session } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { bisect } from '../bisect.ts';
import { RowNotWritten, rowFailure } from '../errors.ts';
import type { EncodedValues } from './values.ts';

/** New values of a row, by column. */
export type GivenRow = { key: Key; values: EncodedValues };

/**
 * Writes values that a person has decided on to rows that the transaction has locked, given in the order of their keys;
 * pre-images are journalled as in a batch. What is not given comes from the plan's expressions, or stays as it is where a
 * TypeScript transform writes. Returns why, by key, for the rows that were not written.
 */
export async function writeValues(
  session: Session,
  context: BatchContext,
  rows: readonly GivenRow[],
): Promise<Map<string, string>> {
  const { phase } = context;
  const failures = new Map<string, string>();
  for (const group of groupAlike(context, rows)) {
    await bisect(
      group,
      (part) => withSavepoint(session, () => writePart(session, context, part)),
      ({ key }, error) => failures.set(JSON.stringify(key), rowFailure(error, phase.redact).message),
    );
  }
  return failures;
}

/** Rows that one statement can write: with the same columns, and with the same values where those stand in its text. */
function groupAlike({ transform }: BatchContext, rows: readonly GivenRow[]): GivenRow[][] {
  const groups = new Map<string, GivenRow[]>();
  for (const row of rows) {
    const id = JSON.stringify(transform ? Object.keys(row.values) : row.values);
    const group = groups.get(id) ?? [];
    group.push(row);
    groups.set(id, group);
  }
  return [...groups.values()];
}

/** @throws RowNotWritten, or the server's error, when one of the rows is at fault. */
async function writePart(session: Session, context: BatchContext, part: readonly GivenRow[]): Promise<void> {
  const { table, written, journal, insertion, phase } = context;
  const [first] = part;
  if (!first) return;
  const given = written.filter(({ name }) => name in first.values);
  const range = { keys: part.map(({ key }) => key) };
  if (insertion) {
    const values = insertion.values.map(({ column, expression }) => ({
      column,
      expression: given.includes(column) ? literal(column, first.values) : expression,
    }));
    const insert = { where: undefined, range, journal, conflicts: true };
    const copied = await insertRange(session, table, { ...insertion, values }, insert);
    if (copied.written < part.length) throw new RowNotCopied();
    return;
  }
  if (phase.transform.kind === 'sql') {
    const literals = given.map((column) => [column.name, literal(column, first.values)] as const);
    const set = { ...phase.transform.set, ...Object.fromEntries(literals) };
    const { changed } = await updateRange(session, table, { set, written, where: undefined, range, journal });
    if (changed < part.length) throw new RowNotWritten();
    return;
  }
  const rows = part.map(({ key, values }) => ({
    key,
    values: given.map(({ name }) => values[name] ?? null),
  }));
  const changed = await writeRows(session, table, { rows, columns: given, written, journal });
  if (changed < part.length) throw new RowNotWritten();
}

/** Length and precision are left to the assignment, which refuses what a cast would cut. */
function literal({ name, castType }: BackfillColumn, values: EncodedValues): string {
  const text = values[name] ?? null;
  return text === null ? 'NULL' : `${quoteLiteral(text)}::${castType}`;
}

/** A row of the other table that is there already, and that the plan leaves alone. */
class RowNotCopied extends RowNotWritten {
  override message =
    'the other table has a row for it already, which the plan leaves alone, or a trigger suppressed the insert';
}
