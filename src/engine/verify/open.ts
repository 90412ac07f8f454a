import { selectCheckpoint } from '../../targets/postgres/backfill/checkpoint.ts';
import { PINNED_SESSION } from '../../targets/postgres/backfill/pin-session.ts';
import type { BackfillTable, Key } from '../../targets/postgres/backfill/table.ts';
import { BACKFILL_TABLES } from '../../targets/postgres/backfill/tables.ts';
import { ensureOwnSchema } from '../../targets/postgres/own-schema.ts';
import { comparedColumns } from '../../targets/postgres/verify/comparison.ts';
import { appendRange, findKeyBeyond, keyedLikeRows } from '../../targets/postgres/verify/surplus.ts';
import { VERIFY_TABLES } from '../../targets/postgres/verify/tables.ts';
import {
  closeDifferences,
  selectVerification,
  setEstimate,
  takeVerification,
  type Verification,
} from '../../targets/postgres/verify/verifications.ts';
import type { Session, Target } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { readContext } from '../backfill/context.ts';
import { cutTable, estimateOrGuess, type OpenOptions } from '../backfill/open.ts';
import { BackfillUndone } from '../errors.ts';
import { batchOptions } from '../job.ts';
import type { Derivation } from './compare.ts';
import { BackfillNotBegun, backfillOf, type VerifyJob } from './job.ts';

/**
 * Begins the verification, or finds out where it is. It covers the rows up to the highest key of now, those included that were
 * written since the backfill began.
 * @throws BackfillNotBegun, BackfillUndone, or Error when a column of the key is gone.
 */
export async function openVerification(
  target: Target,
  job: VerifyJob,
  options: OpenOptions,
): Promise<{ derivation: Derivation; verification: Verification }> {
  const { runId, phase, attempt } = job;
  return target.transaction({ ...batchOptions(options), prelude: PINNED_SESSION }, async (session) => {
    await ensureOwnSchema(session, [...BACKFILL_TABLES, ...VERIFY_TABLES]);
    const { id, isNew } = await takeVerification(session, runId, phase.name, attempt);
    const context = await openContext(session, job);
    const copies = await copiesOf(session, context);
    if (isNew) {
      await closeDifferences(session, runId, job.backfill.name);
      const upTo = await cutTable(session, context.table, {
        id,
        runId,
        rowsPerRange: options.rowsPerRange,
        lanes: context.phase.parallelism,
      });
      if (copies) await coverCopiesBeyond(session, copies, { id, runId, after: upTo ?? undefined });
      await setEstimate(session, id, await estimateOrGuess(session, context.table, context.where));
    }
    const verification = await selectVerification(session, runId, phase.name);
    if (!verification) throw new Error('a verification that was just begun is gone');
    const columns = await comparedColumns(session, context.written);
    return { derivation: { context, columns, copies }, verification };
  });
}

async function copiesOf(
  session: Session,
  { phase, table, insertion }: BatchContext,
): Promise<BackfillTable | undefined> {
  const { transform } = phase;
  if (!insertion || transform.kind !== 'insert') return undefined;
  return keyedLikeRows(session, table, insertion.into, transform);
}

/** Copies may have higher keys than any row. */
async function coverCopiesBeyond(
  session: Session,
  copies: BackfillTable,
  { id, runId, after }: { id: string; runId: string; after: Key | undefined },
): Promise<void> {
  const upTo = await findKeyBeyond(session, copies, after);
  if (upTo) await appendRange(session, id, runId, { after, upTo });
}

async function openContext(session: Session, job: VerifyJob): Promise<BatchContext> {
  const { runId, backfill } = job;
  const context = await readContext(session, backfillOf(job));
  const checkpoint = await selectCheckpoint(session, runId, backfill.name);
  if (!context || !checkpoint) throw new BackfillNotBegun(job);
  if (checkpoint.direction === 'undo') throw new BackfillUndone(runId, backfill.name);
  return context;
}
