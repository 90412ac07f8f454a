import type { TakenException, Verdict } from '../../targets/postgres/backfill/exception-decisions.ts';
import { readRange } from '../../targets/postgres/backfill/read-range.ts';
import { readDigests } from '../../targets/postgres/backfill/row-digests.ts';
import type { Session } from '../../targets/target.ts';
import { type BatchContext, collectRange } from '../backfill/batch.ts';
import { columnsThatMatter } from './record.ts';

/** An exception whose row is there and still one that the plan is about. */
export type PresentRow = { exception: TakenException; digest: string };

/**
 * Locks the rows of these exceptions, which come back in the order of their keys. Those of which there is nothing to migrate
 * any more are settled: their rows were deleted, or no longer meet the plan's condition.
 */
export async function sortRows(
  session: Session,
  context: BatchContext,
  taken: readonly TakenException[],
): Promise<{ present: PresentRow[]; verdicts: Verdict[] }> {
  const byKey = new Map(taken.map((exception) => [JSON.stringify(exception.key), exception]));
  const keys = taken.map(({ key }) => key);
  const locked = await readDigests(session, context.table, columnsThatMatter(context), keys, true);
  const { rows: due, failures } = await collectRange(session, context, { keys }, (range) =>
    readRange(session, context.table, { columns: [], where: context.where, range, lock: false }),
  );
  // Of a row on which the condition fails, a person decides all the same.
  const dueIds = new Set([...due, ...failures].map(({ key }) => JSON.stringify(key)));
  const present: PresentRow[] = [];
  const verdicts: Verdict[] = [];
  for (const { key, digest } of locked) {
    const id = JSON.stringify(key);
    const exception = byKey.get(id);
    if (!exception) continue;
    byKey.delete(id);
    if (dueIds.has(id)) present.push({ exception, digest });
    else verdicts.push({ exception, status: 'skipped', note: 'the row no longer meets the plan’s `where`' });
  }
  for (const exception of byKey.values()) {
    verdicts.push({ exception, status: 'skipped', note: 'the row was deleted meanwhile' });
  }
  return { present, verdicts };
}
