import type { BackfillPhase, BackfillUndo } from '../../domain/plan.ts';
import type { Checkpoint } from '../../targets/postgres/backfill/checkpoint.ts';
import { loadInto } from '../../targets/postgres/backfill/insertion.ts';
import type { JournalShape } from '../../targets/postgres/backfill/journal.ts';
import { columnNamed, loadTable } from '../../targets/postgres/backfill/load-table.ts';
import { writingSession } from '../../targets/postgres/backfill/pin-session.ts';
import { LOOK_UP_BY_KEY } from '../../targets/postgres/backfill/plan-choice.ts';
import { readReferences } from '../../targets/postgres/backfill/references.ts';
import type { Session } from '../../targets/target.ts';
import type { BackfillJob } from '../job.ts';

/** What undo works with. */
export type UndoContext = JournalShape & {
  undo: BackfillUndo;
  /** The backfill's id, which names its journal. */
  backfill: string;
  /** Columns whose values no exception shows. */
  redact: readonly string[];
  /** Queries for rows that refer to a row of the table and would go or change with it. */
  references: readonly string[];
};

/**
 * By what the checkpoint says, not by the plan's transform: that one need not be registered any more. The journal of rows
 * that were inserted into another table has the keys of that table.
 */
export async function undoContext(
  session: Session,
  { phase }: BackfillJob,
  checkpoint: Checkpoint,
): Promise<UndoContext> {
  const { transform, undo, redact } = phase;
  const inserted = transform.kind === 'insert' && undo.kind === 'journal';
  const table = inserted
    ? await loadInto(session, transform)
    : await loadTable(session, { table: phase.table, key: checkpoint.keyColumns, columns: {} });
  const columns = (names: readonly string[]) =>
    names.map((name) => columnNamed(table.columns, name, table.qualifiedName));
  return {
    undo,
    table,
    backfill: checkpoint.id,
    redact,
    // What a statement of the plan restores, only the plan knows.
    written: undo.kind === 'journal' ? columns(checkpoint.writtenColumns) : [],
    others: inserted ? columns(checkpoint.otherColumns) : undefined,
    references: inserted ? await readReferences(session, table) : [],
  };
}

/** What the transactions of an undo begin with. */
export function undoPrelude({ runId, phase }: BackfillJob): string {
  return `${writingSession({ runId, phase: phase.name })}; ${LOOK_UP_BY_KEY}`;
}

/** The phase with the hours in which its undo may run: a rollback waits for no window unless the plan wants it to. */
export function inHoursOfUndo(phase: BackfillPhase): BackfillPhase {
  return phase.undo.onlyInWindows ? phase : { ...phase, windows: [], blackouts: [] };
}
