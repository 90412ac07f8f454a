import type { RowCounts } from '../../domain/counts.ts';
import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import type { Rows } from '../../targets/postgres/backfill/key-range.ts';
import { columnNamed } from '../../targets/postgres/backfill/load-table.ts';
import { readRange } from '../../targets/postgres/backfill/read-range.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { BackfillColumn, BackfillTable } from '../../targets/postgres/backfill/table.ts';
import { type NewRow, writeRows } from '../../targets/postgres/backfill/write-rows.ts';
import type { Session } from '../../targets/target.ts';
import { bisect } from '../bisect.ts';
import { RowNotWritten, rowFailure } from '../errors.ts';
import { redactSuggestion, redactText } from '../exceptions/redact.ts';
import { proposalOf } from '../exceptions/values.ts';
import { type Derived, derive } from '../transform/derive.ts';
import type { Transform } from '../transform/transform.ts';
import { type BatchContext, type BatchResult, collectRange } from './batch.ts';

/** Migrates the range by a TypeScript transform: rows are locked and read, derived once, and written back together. */
export async function migrateByTransform(
  session: Session,
  context: BatchContext,
  transform: Transform,
  range: Rows,
): Promise<BatchResult> {
  const { table, where, written } = context;
  const reads = readColumns(table, transform);
  const { rows, failures: unreadable } = await collectRange(session, context, range, (part) =>
    readRange(session, table, { columns: reads, where, range: part, lock: true }),
  );
  const derived = await derive(session, transform, reads, written, rows, context.threads);
  const notWritten = await writeDerived(session, context, derived);
  return {
    counts: tally(unreadable.length, derived, notWritten.length),
    exceptions: [...unreadable, ...notWritten, ...derived.flatMap((row) => exceptionOf(row, context))],
  };
}

export function readColumns(table: BackfillTable, transform: Transform): BackfillColumn[] {
  return transform.reads.map((name) => columnNamed(table.columns, name, table.qualifiedName));
}

/**
 * The exception that a row becomes, if it becomes one.
 * Its reason and suggestion show no value of a redacted column.
 */
export function exceptionOf(
  { key, row, outcome }: Derived,
  { phase, written }: Pick<BatchContext, 'phase' | 'written'>,
): RowException[] {
  const { redact } = phase;
  switch (outcome.outcome) {
    case 'ambiguous': {
      const { suggestion } = outcome;
      return [
        {
          key,
          kind: 'ambiguous',
          reason: redactText(outcome.reason, row, redact),
          suggestion: redactSuggestion(suggestion, row, written, redact),
          proposal: proposalOf(suggestion, written),
        },
      ];
    }
    case 'failed':
      return [{ key, kind: 'failed', reason: failureReason(outcome, row, redact) }];
    default:
      return [];
  }
}

/** What a library throws may quote any part of a value, so that looking for the values would not do. */
function failureReason(
  { reason, thrown }: Extract<Derived['outcome'], { outcome: 'failed' }>,
  row: Derived['row'],
  redact: readonly string[],
): string {
  if (thrown === undefined || redact.length === 0) return redactText(reason, row, redact);
  return `the transform threw ${thrown}; its message is left out, because the plan redacts columns of this table`;
}

function tally(unreadable: number, derived: readonly Derived[], notWritten: number): RowCounts {
  const count = (outcome: string) => derived.filter((row) => row.outcome.outcome === outcome).length;
  return {
    processed: unreadable + derived.length,
    migrated: count('migrated') - notWritten,
    skipped: count('skipped'),
    ambiguous: count('ambiguous'),
    failed: count('failed') + unreadable + notWritten,
  };
}

/** Rows that write the same columns go together, so that a column left out keeps its value. Returns those that failed. */
async function writeDerived(
  session: Session,
  { phase, table, written, journal, isolateFailures }: BatchContext,
  derived: readonly Derived[],
): Promise<RowException[]> {
  const failures: RowException[] = [];
  for (const { columns, rows } of groupByColumns(derived)) {
    const write = async (part: readonly NewRow[]) => {
      const changed = await writeRows(session, table, { rows: part, columns, written, journal });
      if (changed < part.length) throw new RowNotWritten();
    };
    if (!isolateFailures) {
      await write(rows);
      continue;
    }
    await bisect(
      rows,
      (part) => withSavepoint(session, () => write(part)),
      ({ key, values }, error) => {
        const { redact } = phase;
        const { row = {} } = derived.find((one) => one.key === key) ?? {};
        const shown = (text: string | null) => (text === null ? null : redactText(text, row, redact));
        const attempted = Object.fromEntries(columns.map(({ name }, i) => [name, shown(values[i] ?? null)]));
        failures.push({ key, kind: 'failed', attempted, ...rowFailure(error, redact) });
      },
    );
  }
  return failures;
}

/** Migrated rows by the columns they write. */
export function groupByColumns(
  derived: readonly Derived[],
): { columns: readonly BackfillColumn[]; rows: NewRow[] }[] {
  const groups = new Map<string, { columns: readonly BackfillColumn[]; rows: NewRow[] }>();
  for (const { key, outcome } of derived) {
    if (outcome.outcome !== 'migrated') continue;
    const { columns, values } = outcome;
    const id = JSON.stringify(columns.map((column) => column.name));
    const group = groups.get(id) ?? { columns, rows: [] };
    group.rows.push({ key, values });
    groups.set(id, group);
  }
  return [...groups.values()];
}
