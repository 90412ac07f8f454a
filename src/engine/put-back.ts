import type { BackfillUndo } from '../domain/plan.ts';
import type { RowException } from '../targets/postgres/backfill/exceptions.ts';
import {
  removeJournalled,
  restoreRows,
  selectJournalled,
  selectPresent,
} from '../targets/postgres/backfill/restore-rows.ts';
import { withSavepoint } from '../targets/postgres/backfill/savepoint.ts';
import type { BackfillColumn, BackfillTable, Key } from '../targets/postgres/backfill/table.ts';
import { undoByStatement } from '../targets/postgres/backfill/undo-by-statement.ts';
import type { Session } from '../targets/target.ts';
import { bisect } from './bisect.ts';
import { rowFailure } from './errors.ts';

/** What undo works with. */
export type UndoContext = {
  undo: BackfillUndo;
  table: BackfillTable;
  written: readonly BackfillColumn[];
  /** The backfill's id in the journal. */
  backfill: string;
};

export type PutBack = { restored: Key[]; kept: RowException[] };

/** Undoes journalled rows; one that the database refuses to take back is kept, and the others go on. */
export async function putBack(
  session: Session,
  context: UndoContext,
  keys: readonly Key[],
): Promise<PutBack> {
  const restored: Key[] = [];
  const left: Key[] = [];
  const kept: RowException[] = [];
  await bisect(
    keys,
    async (part) => {
      const done = await withSavepoint(session, () => attempt(session, context, part));
      const ids = new Set(done.map((key) => JSON.stringify(key)));
      restored.push(...done);
      left.push(...part.filter((key) => !ids.has(JSON.stringify(key))));
    },
    (key, error) => kept.push({ key, kind: 'kept', ...rowFailure(error) }),
  );
  return { restored, kept: [...kept, ...(await explainLeft(session, context, left))] };
}

/** Returns the keys that were undone; all of them when the plan brings its own statement. */
async function attempt(
  session: Session,
  context: UndoContext,
  keys: readonly Key[],
): Promise<readonly Key[]> {
  const { undo, table, written, backfill } = context;
  if (undo.kind !== 'sql') return restoreRows(session, table, written, backfill, keys);
  await undoByStatement(session, table, undo.statement, keys);
  await removeJournalled(session, table, backfill, keys);
  return keys;
}

async function explainLeft(
  session: Session,
  { table, written, backfill }: UndoContext,
  keys: readonly Key[],
): Promise<RowException[]> {
  if (keys.length === 0) return [];
  // Who undoes single rows at the same time may have been faster with some.
  const journalled = (await selectJournalled(session, table, backfill, keys)).map(({ key }) => key);
  const present = new Set((await selectPresent(session, table, keys)).map((key) => JSON.stringify(key)));
  const columns = written.map((column) => column.name).join(', ');
  return journalled.map((key) => ({
    key,
    kind: 'kept',
    reason: present.has(JSON.stringify(key))
      ? `written since it was migrated (${columns}); its present values were kept`
      : 'deleted since it was migrated',
  }));
}
