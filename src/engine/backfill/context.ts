import type { InsertTransform } from '../../domain/plan.ts';
import { type Checkpoint, selectCheckpoint } from '../../targets/postgres/backfill/checkpoint.ts';
import { type Insertion, loadInsertion } from '../../targets/postgres/backfill/insertion.ts';
import { journalName } from '../../targets/postgres/backfill/journal.ts';
import { columnNamed, loadTable } from '../../targets/postgres/backfill/load-table.ts';
import { readActsOnDelete } from '../../targets/postgres/backfill/read-columns.ts';
import type { BackfillTable } from '../../targets/postgres/backfill/table.ts';
import type { Session } from '../../targets/target.ts';
import type { BackfillJob } from '../job.ts';
import { dueRows } from '../job.ts';
import type { BatchContext } from './batch.ts';

/**
 * What a backfill that has begun works with, for whoever migrates single rows of it: `where` is the plan's, without
 * `pending`. Undefined when it has not begun on this target.
 */
export async function readContext(session: Session, job: BackfillJob): Promise<BatchContext | undefined> {
  const checkpoint = await selectCheckpoint(session, job.runId, job.phase.name);
  if (!checkpoint?.pinned) return undefined;
  const { phase } = job;
  const table = await loadTable(session, { table: phase.table, key: checkpoint.keyColumns, columns: {} });
  const context = await contextOf(session, job, table, checkpoint);
  return { ...context, where: phase.where, isolateFailures: true };
}

export async function contextOf(
  session: Session,
  job: BackfillJob,
  table: BackfillTable,
  checkpoint: Checkpoint,
): Promise<BatchContext> {
  const { phase, transforms } = job;
  const { transform, undo } = phase;
  const insertion =
    transform.kind === 'insert' ? await insertionOf(session, phase, transform, table, checkpoint) : undefined;
  const { columns, qualifiedName } = insertion?.into ?? table;
  return {
    phase,
    table,
    where: dueRows(phase),
    written: checkpoint.writtenColumns.map((name) => columnNamed(columns, name, qualifiedName)),
    isolateFailures: false,
    caution: { batches: 0 },
    journal:
      undo.kind === 'none'
        ? undefined
        : {
            name: journalName(checkpoint.id),
            keep: undo.kind === 'journal' ? 'rows' : 'keys',
            conflicts: true,
          },
    insertion,
    ...transforms.forPlan(transform),
  };
}

async function insertionOf(
  session: Session,
  { undo }: BackfillJob['phase'],
  transform: InsertTransform,
  table: BackfillTable,
  { writtenColumns, otherColumns }: Checkpoint,
): Promise<Insertion> {
  return loadInsertion(session, transform, {
    written: writtenColumns,
    others: otherColumns,
    locksRows: undo.kind !== 'none' || (await readActsOnDelete(session, table.qualifiedName)),
  });
}
