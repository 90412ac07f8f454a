import type { RowCounts } from '../domain/counts.ts';
import type { RowException } from '../targets/postgres/backfill/exceptions.ts';
import type { KeyRange } from '../targets/postgres/backfill/key-range.ts';
import { columnNamed } from '../targets/postgres/backfill/load-table.ts';
import { readRange } from '../targets/postgres/backfill/read-range.ts';
import { withSavepoint } from '../targets/postgres/backfill/savepoint.ts';
import type { BackfillColumn, BackfillTable } from '../targets/postgres/backfill/table.ts';
import { type NewRow, writeRows } from '../targets/postgres/backfill/write-rows.ts';
import type { Session } from '../targets/target.ts';
import { type BatchContext, type BatchResult, collectRange } from './batch.ts';
import { bisect } from './bisect.ts';
import { type Derived, derive } from './derive.ts';
import { RowNotWritten, rowFailure } from './errors.ts';
import type { Transform } from './transform.ts';

/** Migrates the range by a TypeScript transform: rows are locked and read, derived once, and written back together. */
export async function migrateByTransform(
  session: Session,
  context: BatchContext,
  transform: Transform,
  range: KeyRange,
): Promise<BatchResult> {
  const { table, written, phase } = context;
  const reads = readColumns(table, transform);
  const { rows, failures: unreadable } = await collectRange(session, table, range, (part) =>
    readRange(session, table, { columns: reads, where: phase.where, range: part, lock: true }),
  );
  const derived = await derive(session, transform, reads, written, rows);
  const notWritten = await writeDerived(session, context, derived);
  return {
    counts: tally(unreadable.length, derived, notWritten.length),
    exceptions: [...unreadable, ...notWritten, ...derived.flatMap(exceptionOf)],
  };
}

export function readColumns(table: BackfillTable, transform: Transform): BackfillColumn[] {
  return transform.reads.map((name) => columnNamed(table.columns, name, table.qualifiedName));
}

/** The exception that a row becomes, if it becomes one. */
export function exceptionOf({ key, outcome }: Derived): RowException[] {
  switch (outcome.outcome) {
    case 'ambiguous':
      return [{ key, kind: 'ambiguous', reason: outcome.reason, suggestion: outcome.suggestion }];
    case 'failed':
      return [{ key, kind: 'failed', reason: outcome.reason }];
    default:
      return [];
  }
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
  { table, written, journal }: BatchContext,
  derived: readonly Derived[],
): Promise<RowException[]> {
  const failures: RowException[] = [];
  for (const { columns, rows } of groupByColumns(derived)) {
    await bisect(
      rows,
      (part) =>
        withSavepoint(session, async () => {
          const changed = await writeRows(session, table, { rows: part, columns, written, journal });
          if (changed < part.length) throw new RowNotWritten();
        }),
      ({ key }, error) => failures.push({ key, kind: 'failed', ...rowFailure(error) }),
    );
  }
  return failures;
}

/** Migrated rows by the columns they write. */
export function groupByColumns(derived: readonly Derived[]): { columns: BackfillColumn[]; rows: NewRow[] }[] {
  const groups = new Map<string, { columns: BackfillColumn[]; rows: NewRow[] }>();
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
