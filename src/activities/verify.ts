import { ApplicationFailure, Context } from '@temporalio/activity';
import type { VerifyInput, VerifySliceInput, VerifySliceResult } from '../contracts/activities.ts';
import { FAILURE } from '../contracts/errors.ts';
import { openLogEntry, updateLogEntry } from '../db/migration-log.ts';
import { recordEvent } from '../db/run-events.ts';
import { reportProgress, thinProgress } from '../db/run-phases.ts';
import { durationMs } from '../domain/duration.ts';
import type { BackfillPhase } from '../domain/plan.ts';
import { asRowCounts, driftInWords, type VerifyCounts, verifiedInWords } from '../domain/verification.ts';
import { listExceptions } from '../engine/backfill/records.ts';
import { openPace } from '../engine/load/pace.ts';
import type { VerifyJob } from '../engine/verify/job.ts';
import { readVerification } from '../engine/verify/records.ts';
import { verifySlice } from '../engine/verify/slice.ts';
import { selectVerification } from '../targets/postgres/verify/verifications.ts';
import type { Session } from '../targets/target.ts';
import { ERRORS_IN_LOG, PROGRESS_EVENTS_KEPT, SLICE_MS } from './backfill.ts';
import { copyExceptions } from './copy-exceptions.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';
import { logLater, ProgressReporter } from './progress.ts';
import { recorded } from './records.ts';

export function verifyActivities(dependencies: Dependencies) {
  return {
    verifySlice: (input: VerifySliceInput): Promise<VerifySliceResult> =>
      whileHeartbeating((signal) => verifyFor(dependencies, input, signal)),
    finishVerification: (input: VerifyInput): Promise<VerifyCounts> =>
      whileHeartbeating(() => finish(dependencies, input)),
  };
}

async function verifyFor(
  dependencies: Dependencies,
  input: VerifySliceInput,
  signal: AbortSignal,
): Promise<VerifySliceResult> {
  const { db } = dependencies;
  const target = targetNamed(dependencies, input.target);
  await recorded(openLogEntry(db, logKey(input), logEntry(input)));
  const pace = openPace(
    target,
    { runId: input.runId, phase: pacedLike(input) },
    { direction: 'forward', lanes: input.verify.parallelism, signal, rowsDone: rowsDone(input) },
  );
  const reporter = new ProgressReporter(db, input, 'forward', pace);
  const { done, counts, estimatedRows, closed } = await verifySlice(target, jobOf(dependencies, input), {
    signal,
    pace,
    lockTimeoutMs: durationMs(input.backfill.lockTimeout),
    claimant: {
      lane: `lane-${input.lane}`,
      since: Context.current().info.currentAttemptScheduledTimestampMs,
    },
    untilMs: SLICE_MS,
    onProgress: ({ counts, ...progress }) => reporter.report({ ...progress, counts: asRowCounts(counts) }),
  }).finally(async () => {
    await Promise.all([pace.close(), reporter.settled()]);
    if (signal.aborted) await logInterruption(dependencies, input).catch(logLater);
    await copyExceptions(db, target, ofBackfill(input)).catch(logLater);
  });
  if (closed) {
    await recorded(reporter.closed({ counts: asRowCounts(counts), estimatedRows }, closed));
  }
  await recorded(thinProgress(db, input.runId, input.phase, PROGRESS_EVENTS_KEPT));
  return { done, counts, ...(closed ? { closed: { ...closed, until: closed.until.getTime() } } : {}) };
}

async function finish(dependencies: Dependencies, input: VerifyInput): Promise<VerifyCounts> {
  const { db } = dependencies;
  const target = targetNamed(dependencies, input.target);
  await copyExceptions(db, target, ofBackfill(input));
  const counts = await countsOf(dependencies, input);
  const errorDetails = await listExceptions(target, input.runId, input.backfill.name, {
    limit: ERRORS_IN_LOG,
    filter: { kind: 'differs', status: 'open' },
  });
  const words = verifiedInWords(counts);
  await recorded(
    updateLogEntry(db, logKey(input), { counts: asRowCounts(counts), errorDetails, outcome: words }),
  );
  await recorded(
    recordEvent(db, {
      runId: input.runId,
      phase: input.phase,
      type: 'note',
      message: `verified "${input.backfill.name}": ${words}`,
      data: { verification: counts },
      key: `${input.phase}/verified/${input.attempt}`,
    }),
  );
  const { checked: estimatedRows } = counts;
  await recorded(
    reportProgress(db, input.runId, input.phase, {
      counts: asRowCounts(counts),
      estimatedRows,
      rowsPerSecond: 0,
    }),
  );
  const drift = driftInWords(counts);
  if (drift === undefined) return counts;
  throw ApplicationFailure.create({
    type: FAILURE.verificationFailed,
    message:
      `${drift}; they are listed as exceptions of the kind "differs". Find out what wrote them, and replay them or ` +
      'skip those that may stay; then verify again',
    nonRetryable: true,
  });
}

/** By which the load control tells when the verification will be done. */
function rowsDone({ runId, phase }: VerifyInput) {
  return async (session: Session) => {
    const verification = await selectVerification(session, runId, phase);
    return verification && { processed: verification.counts.checked, rows: verification.estimatedRows };
  };
}

/** The backfill as its load control knows it, with the name and the chunks of the verification. */
function pacedLike({ backfill, verify }: VerifyInput): BackfillPhase {
  const { name, batchSize } = verify;
  return { ...backfill, name, batchSize, maxBatchSize: batchSize };
}

/** A verification that is resumed ends in another way after all. */
async function logInterruption(dependencies: Dependencies, input: VerifyInput): Promise<void> {
  const counts = await countsOf(dependencies, input);
  const entry = { counts: asRowCounts(counts), outcome: `interrupted after ${verifiedInWords(counts)}` };
  await recorded(updateLogEntry(dependencies.db, logKey(input), entry));
}

async function countsOf(dependencies: Dependencies, { target, runId, phase }: VerifyInput) {
  const verification = await readVerification(targetNamed(dependencies, target), runId, phase);
  if (!verification) throw new Error(`nothing is known of the verification "${phase}" of run ${runId}`);
  return verification.counts;
}

function jobOf({ transforms }: Dependencies, input: VerifyInput): VerifyJob {
  const { runId, verify: phase, backfill, syncs, attempt } = input;
  return { runId, phase, backfill, syncs, attempt, transforms };
}

/** What is found out about rows is an exception of their backfill, which knows how to derive them. */
function ofBackfill({ runId, backfill }: VerifyInput) {
  return { runId, phase: backfill.name };
}

function logKey({ runId, phase, attempt }: VerifyInput) {
  return { runId, phase, action: 'verify', request: attempt } as const;
}

function logEntry({ planName, target, backfill, performedBy }: VerifyInput) {
  return { planName, target, tableName: backfill.table, performedBy: performedBy.name };
}
