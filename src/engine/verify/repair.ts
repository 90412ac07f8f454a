import { NO_ROWS } from '../../domain/counts.ts';
import { holdCheckpoint } from '../../targets/postgres/backfill/exception-decisions.ts';
import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import { pinSession } from '../../targets/postgres/backfill/pin-session.ts';
import { LOOK_UP_BY_KEY, planFreely } from '../../targets/postgres/backfill/plan-choice.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import { lockRows } from '../../targets/postgres/sync/lock-rows.ts';
import { finishConfirmed, takeConfirmed } from '../../targets/postgres/verify/suspects.ts';
import { addSettled, type Settled } from '../../targets/postgres/verify/verifications.ts';
import type { Session } from '../../targets/target.ts';
import type { BatchResult } from '../backfill/batch.ts';
import { migrateRows } from '../backfill/migrate.ts';
import { BackfillUndone } from '../errors.ts';
import { recordExceptions } from '../exceptions/record.ts';
import { compareWithTransform, type Derivation, idOf } from './compare.ts';
import { atPresent } from './look.ts';
import type { Verifying } from './scan.ts';

/** Rows that the application cannot write while a batch of them is derived. */
const BATCH_ROWS = 500;
/** Rows that somebody has locked are tried again after so many milliseconds. */
const BUSY_MS = 500;

/**
 * Derives rows again that differ for good, and compares once more: all in one transaction, with the journal keeping what they
 * were before the backfill. Never waits for a row that somebody has locked.
 * @returns how many rows it has dealt with.
 * @throws BackfillUndone when the undo has begun; it does not begin before this has committed.
 */
export async function repairRows({ held, job, derivation, id }: Verifying): Promise<number> {
  const writer = { runId: job.runId, phase: job.backfill.name };
  return atPresent(held, async (session) => {
    await pinSession(session, writer);
    await session.query(LOOK_UP_BY_KEY);
    const keys = await takeConfirmed(session, id, BATCH_ROWS);
    if (keys.length === 0) return 0;
    const backfill = await holdCheckpoint(session, writer.runId, writer.phase);
    if (backfill?.direction !== 'forward') throw new BackfillUndone(writer.runId, writer.phase);
    const { locked, busy, gone } = await lockRows(session, derivation.context.table, keys);
    const { settled, exceptions } = await planFreely(session, () => deriveAgain(session, derivation, locked));
    await recordExceptions(session, derivation.context, writer, exceptions, { counted: false });
    await finishConfirmed(session, id, { settled: [...locked, ...gone], putOff: busy, afterMs: BUSY_MS });
    await addSettled(session, id, { ...settled, passed: (settled.passed ?? 0) + gone.length });
    return locked.length + gone.length;
  });
}

/** Rows that differ all the same are left as they were: to derive them once more would only do more harm. */
async function deriveAgain(
  session: Session,
  derivation: Derivation,
  keys: readonly Key[],
): Promise<{ settled: Partial<Settled>; exceptions: RowException[] }> {
  const stubborn: Key[] = [];
  let { counts, exceptions }: BatchResult = { counts: NO_ROWS, exceptions: [] };
  for (let left = keys; left.length > 0; ) {
    const found = await attempt(session, derivation, left);
    if (found.stubborn.length === 0) {
      ({ counts, exceptions } = found);
      break;
    }
    stubborn.push(...found.stubborn);
    const ids = new Set(found.stubborn.map(idOf));
    left = left.filter((key) => !ids.has(idOf(key)));
  }
  const failed = counts.failed + stubborn.length;
  return {
    settled: {
      repaired: counts.migrated,
      ambiguous: counts.ambiguous,
      failed,
      newlyFailed: failed,
      passed: keys.length - counts.migrated - counts.ambiguous - failed,
    },
    exceptions: [...exceptions, ...stubborn.map(stillDiffers)],
  };
}

class StillDiffers extends Error {}

/** Derives the rows; when some of them differ afterwards, none is written. */
async function attempt(
  session: Session,
  derivation: Derivation,
  keys: readonly Key[],
): Promise<BatchResult & { stubborn: Key[] }> {
  let stubborn: Key[] = [];
  try {
    return await withSavepoint(session, async () => {
      const result = await migrateRows(session, derivation.context, { keys });
      const setAside = new Set(result.exceptions.map(({ key }) => idOf(key)));
      const { findings } = await compareWithTransform(session, derivation, { keys }, false);
      stubborn = findings.map(({ key }) => key).filter((key) => !setAside.has(idOf(key)));
      if (stubborn.length > 0) throw new StillDiffers();
      return { ...result, stubborn };
    });
  } catch (error) {
    if (!(error instanceof StillDiffers)) throw error;
    return { counts: NO_ROWS, exceptions: [], stubborn };
  }
}

function stillDiffers(key: Key): RowException {
  return {
    key,
    kind: 'failed',
    reason:
      'the row differs from its transform also when it is derived again, and is left as it was: a trigger of the table changes ' +
      'what is written, or the transform makes something else of the row each time (random(), now(), its own result)',
  };
}
