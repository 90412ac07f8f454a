import type { TakenException, Verdict } from '../../targets/postgres/backfill/exception-decisions.ts';
import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import type { Session } from '../../targets/target.ts';
import type { BatchContext, BatchResult } from '../backfill/batch.ts';
import { migrateRows } from '../backfill/migrate.ts';
import type { BackfillJob } from '../job.ts';
import { recordExceptions } from './record.ts';
import { sortRows } from './rows.ts';

/** What became of a row that was derived again; rows that were set aside again come with their exceptions. */
type Again = 'migrated' | 'skipped' | RowException;

/** Derives the rows again; those that are set aside once more stay open, with what is wrong with them now. */
export async function replay(
  session: Session,
  { runId, phase }: BackfillJob,
  context: BatchContext,
  taken: readonly TakenException[],
): Promise<Verdict[]> {
  const { present, verdicts } = await sortRows(session, context, taken);
  const outcomes = await migrateAgain(
    session,
    context,
    present.map(({ exception }) => exception.key),
  );
  const again: RowException[] = [];
  for (const { exception } of present) {
    const outcome = outcomes.get(JSON.stringify(exception.key)) ?? 'skipped';
    if (typeof outcome !== 'string') again.push(outcome);
    verdicts.push({ exception, ...VERDICTS[typeof outcome === 'string' ? outcome : 'again'] });
  }
  await recordExceptions(session, context, { runId, phase: phase.name }, again, { counted: false });
  return verdicts;
}

const VERDICTS = {
  migrated: { status: 'replayed' },
  skipped: { status: 'skipped', note: 'the row needs nothing any more' },
  again: { status: 'open' },
} as const;

/** By key; together where one outcome is all that the rows have, else one by one. */
async function migrateAgain(
  session: Session,
  context: BatchContext,
  keys: readonly Key[],
): Promise<Map<string, Again>> {
  if (keys.length === 0) return new Map();
  try {
    return await withSavepoint(session, async () => {
      const result = await migrateRows(session, context, { keys });
      const { migrated, skipped } = result.counts;
      if (migrated > 0 && skipped > 0) throw new MixedOutcomes();
      return outcomesOf(keys, result);
    });
  } catch (error) {
    if (!(error instanceof MixedOutcomes)) throw error;
    const outcomes = new Map<string, Again>();
    for (const key of keys) {
      const result = await migrateRows(session, context, { keys: [key] });
      for (const [id, outcome] of outcomesOf([key], result)) outcomes.set(id, outcome);
    }
    return outcomes;
  }
}

/** Counts alone do not tell which of the rows were migrated and which needed nothing. */
class MixedOutcomes extends Error {}

function outcomesOf(keys: readonly Key[], { counts, exceptions }: BatchResult): Map<string, Again> {
  const outcome = counts.migrated > 0 ? 'migrated' : 'skipped';
  return new Map<string, Again>([
    ...keys.map((key): [string, Again] => [JSON.stringify(key), outcome]),
    ...exceptions.map((exception): [string, Again] => [JSON.stringify(exception.key), exception]),
  ]);
}
