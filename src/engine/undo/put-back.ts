import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import { lookAtRows, removeJournalled } from '../../targets/postgres/backfill/journalled.ts';
import { restoreRows } from '../../targets/postgres/backfill/restore-rows.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import { type Taking, takeRows } from '../../targets/postgres/backfill/take-rows.ts';
import { undoByStatement } from '../../targets/postgres/backfill/undo-by-statement.ts';
import type { Session } from '../../targets/target.ts';
import { bisect } from '../bisect.ts';
import { dependsOnOthers, RowNotWritten, rowFailure } from '../errors.ts';
import type { UndoContext } from './context.ts';

/** What became of the rows that were taken. */
export type PutBack = {
  taken: number;
  /** Key of the last of them. */
  last: Key | undefined;
  restored: number;
  /** Left as they are. */
  kept: RowException[];
  /** Left as they are for now: the others may have to be restored first. */
  later: RowException[];
};

/** Puts rows back all in one go. @throws the server's error when one of them is at fault. */
export async function putBack(session: Session, context: UndoContext, which: Taking): Promise<PutBack> {
  const { taken, last, left } = await attempt(session, context, which);
  const kept = await explainLeft(session, context, left);
  return { taken, last, restored: taken - left.length, kept, later: [] };
}

/** The same, but one that the database refuses to take back is left as it is, and the others go on. */
export async function putBackEach(
  session: Session,
  context: UndoContext,
  which: Taking,
): Promise<PutBack & { left: Key[] }> {
  const keys = await takeRows(session, context, which);
  const left: Key[] = [];
  const failures: { exception: RowException; later: boolean }[] = [];
  await bisect(
    keys,
    async (part) => {
      const done = await withSavepoint(session, () => attempt(session, context, { keys: part }));
      left.push(...done.left);
    },
    (key, error) => {
      const exception: RowException = { key, kind: 'kept', ...rowFailure(error, context.redact) };
      failures.push({ exception, later: dependsOnOthers(error) });
    },
  );
  const failed = (later: boolean) => failures.filter((failure) => failure.later === later);
  return {
    taken: keys.length,
    last: keys.at(-1),
    restored: keys.length - left.length - failures.length,
    kept: [
      ...failed(false).map(({ exception }) => exception),
      ...(await explainLeft(session, context, left)),
    ],
    later: failed(true).map(({ exception }) => exception),
    left: [...left, ...failures.map(({ exception }) => exception.key)],
  };
}

/** A statement of the plan's own says nothing about single rows: it counts for all of them. */
async function attempt(
  session: Session,
  context: UndoContext,
  which: Taking,
): Promise<{ taken: number; last: Key | undefined; left: Key[] }> {
  const { undo, table } = context;
  if (undo.kind !== 'sql') return restoreRows(session, context, which);
  const keys = 'keys' in which ? which.keys : await takeRows(session, context, which);
  if (keys.length > 0) {
    await undoByStatement(session, table, undo.statement, keys);
    await removeJournalled(session, context, keys);
  }
  return { taken: keys.length, last: keys.at(-1), left: [] };
}

async function explainLeft(
  session: Session,
  context: UndoContext,
  keys: readonly Key[],
): Promise<RowException[]> {
  if (keys.length === 0) return [];
  const reasons = context.others ? reasonsForCopies(context) : reasonsForRows(context);
  const rows = await lookAtRows(session, context, keys);
  return rows.map(({ key, found }) => ({ key, kind: 'kept', reason: reasons[found] }));
}

function reasonsForRows({ written }: UndoContext) {
  const columns = written.map((column) => column.name).join(', ');
  return {
    gone: 'deleted since it was migrated',
    changed: `written since it was migrated (${columns}); its present values were kept`,
    same: new RowNotWritten().message,
  };
}

/** The keys are those of the other table. */
function reasonsForCopies({ table, references }: UndoContext) {
  const row = `the row of ${table.qualifiedName}`;
  return {
    gone: `${row} was deleted since it was migrated`,
    changed: `${row} was written since it was migrated; it was kept as it is`,
    same:
      references.length > 0
        ? `other rows refer to ${row}, and would go or change with it; it was kept`
        : new RowNotWritten().message,
  };
}
