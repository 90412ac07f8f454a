import { addToUndo, selectCheckpoint } from '../../targets/postgres/backfill/checkpoint.ts';
import { closeKept, reopenUndone } from '../../targets/postgres/backfill/exception-decisions.ts';
import { insertExceptions } from '../../targets/postgres/backfill/exceptions.ts';
import { type SetAside, setAside, takeJournalled } from '../../targets/postgres/backfill/journalled.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import type { Session, Target } from '../../targets/target.ts';
import { bisect } from '../bisect.ts';
import { type BackfillJob, batchOptions, type SliceOptions } from '../job.ts';
import { type UndoContext, undoContext, undoPrelude } from './context.ts';
import { putBackEach } from './put-back.ts';
import { keysOf } from './record.ts';

/** Keys by what became of their rows. */
export type UndoneRows = {
  restored: Key[];
  /** Left as they are; listed as exceptions of the kind `kept`, with the reason. */
  kept: Key[];
  /** Not migrated by this run, or undone already. */
  unknown: Key[];
};

/**
 * Undoes just these rows, at any time after they were migrated, also while the backfill goes on.
 * @param keys a value per key column, as text and as exceptions and samples show them: `[['42'], ['43']]`. Rows that were
 * copied into another table go by the columns that identify them there, unless the plan undoes by its own statement.
 * @throws Error when the plan keeps no way back, or the signal's reason.
 */
export async function undoRows(
  target: Target,
  job: BackfillJob,
  keys: readonly Key[],
  options: SliceOptions = {},
): Promise<UndoneRows> {
  const { undo, name } = job.phase;
  if (undo.kind === 'none') {
    throw new Error(`phase "${name}" has \`undo: none\`, so nothing was kept to restore its rows from`);
  }
  return target.transaction({ ...batchOptions(options), prelude: undoPrelude(job) }, async (session) => {
    const checkpoint = await selectCheckpoint(session, job.runId, name);
    if (!checkpoint?.pinned) return { restored: [], kept: [], unknown: [...keys] };
    const context = await undoContext(session, job, checkpoint);
    refuseWrongKeys(context, keys);
    const known = await findJournalled(session, context, once(keys));
    const undone = await putBackKnown(session, job, context, known);
    await addToUndo(session, checkpoint, undone.counts);
    const knownIds = new Set(known.map(({ key }) => idOf(key)));
    const { restored, kept } = undone;
    return { restored, kept, unknown: keys.filter((key) => !knownIds.has(idOf(key))) };
  });
}

type Known = { key: Key; setAside: SetAside | null };

/**
 * A row that is left as it is now is tried once more by an undo of the whole, which decides for good: by then the application
 * may have changed it back, or others may have made room for it.
 */
async function putBackKnown(
  session: Session,
  job: BackfillJob,
  context: UndoContext,
  known: readonly Known[],
): Promise<{ restored: Key[]; kept: Key[]; counts: { restored: number; kept: number } }> {
  const { runId, phase } = job;
  const result = await putBackEach(session, context, { keys: keysOf(known) });
  const left = new Set(result.left.map(idOf));
  const isKept = known.filter((row) => row.setAside === 'kept');
  const ids = new Set(isKept.map(idOfRow));
  await setAside(
    session,
    context,
    result.left.filter((key) => !ids.has(idOf(key))),
    'retry',
  );
  await insertExceptions(session, runId, phase.name, [...result.kept, ...result.later]);
  const restored = keysOf(known).filter((key) => !left.has(idOf(key)));
  await closeKept(session, runId, phase.name, restored);
  // Copies have other keys than the rows that were decided about.
  if (phase.transform.kind !== 'insert') await reopenUndone(session, runId, phase.name, restored);
  const noLongerKept = isKept.filter((row) => !left.has(idOfRow(row))).length;
  return { restored, kept: result.left, counts: { restored: restored.length, kept: -noLongerKept } };
}

/** A text that is no value of the key's type names no row. */
async function findJournalled(
  session: Session,
  context: UndoContext,
  keys: readonly Key[],
): Promise<Known[]> {
  const found: Known[] = [];
  await bisect(
    keys,
    async (part) => {
      found.push(...(await withSavepoint(session, () => takeJournalled(session, context, part))));
    },
    () => {},
  );
  return found;
}

function refuseWrongKeys({ table }: UndoContext, keys: readonly Key[]): void {
  const wrong = keys.find((key) => key.length !== table.key.length);
  if (!wrong) return;
  const names = table.key.map((column) => column.name).join(', ');
  throw new Error(
    `a key of ${table.qualifiedName} has ${table.key.length} values (${names}); given was [${wrong.join(', ')}]`,
  );
}

function once(keys: readonly Key[]): Key[] {
  return [...new Map(keys.map((key) => [idOf(key), key])).values()];
}

function idOfRow({ key }: Known): string {
  return idOf(key);
}

function idOf(key: Key): string {
  return JSON.stringify(key);
}
