import type { BackfillPhase, InsertTransform } from '../../domain/plan.ts';
import { type Insertion, insertionOf } from '../../targets/postgres/backfill/insertion.ts';
import { columnNamed, loadTable, standInTable, tableOf } from '../../targets/postgres/backfill/load-table.ts';
import { describeTable } from '../../targets/postgres/catalog.ts';
import type { Session } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { addedColumns, type BackfillJob, dueRows, writtenColumns } from '../job.ts';

/**
 * What a backfill would work with if it began now, with columns that the plan adds first standing in as `missing`.
 * Nothing is journalled.
 */
export async function previewContext(
  session: Session,
  { phase, transforms }: Pick<BackfillJob, 'phase' | 'transforms'>,
): Promise<BatchContext> {
  const table = await loadTable(session, { ...phase, columns: addedColumns(phase).own });
  const { transform } = phase;
  const names = writtenColumns({ phase, transforms });
  const insertion =
    transform.kind === 'insert' ? await previewInsertion(session, phase, transform, names) : undefined;
  const { columns, qualifiedName } = insertion?.into ?? table;
  return {
    phase,
    table,
    where: dueRows(phase),
    written: names.map((name) => columnNamed(columns, name, qualifiedName)),
    isolateFailures: true,
    caution: { batches: 0 },
    journal: undefined,
    insertion,
    ...transforms.forPlan(transform),
  };
}

/** A table that an earlier phase creates stands in as well: then none of its rows is there, and nothing else is known of it. */
async function previewInsertion(
  session: Session,
  phase: BackfillPhase,
  transform: InsertTransform,
  written: readonly string[],
): Promise<Insertion> {
  const shape = await describeTable(session, transform.into);
  const use = { table: transform.into, key: transform.identifiedBy, columns: addedColumns(phase).into };
  const into = shape
    ? await tableOf(session, shape, use)
    : await standInTable(session, {
        ...use,
        columns: Object.fromEntries(written.map((name) => [name, use.columns[name] ?? 'text'])),
      });
  return insertionOf(into, transform, { written, others: [], locksRows: false });
}
