import type {
  BackfillInput,
  DecisionSliceInput,
  OpenExceptions,
  UndoRowsWork,
} from '../contracts/activities.ts';
import type { UndoRowsResult } from '../contracts/runs.ts';
import type { ControlDb } from '../db/control-db.ts';
import { recordLogEntry } from '../db/migration-log.ts';
import { reportCounts } from '../db/run-phases.ts';
import { NO_ROWS } from '../domain/counts.ts';
import { durationMs } from '../domain/duration.ts';
import type { DecisionResult } from '../domain/row-exception.ts';
import { readCheckpoint } from '../engine/backfill/records.ts';
import { decideExceptions } from '../engine/exceptions/decide.ts';
import { undoRows } from '../engine/undo/undo-rows.ts';
import { countOpen } from '../targets/postgres/backfill/exceptions.ts';
import type { Target } from '../targets/target.ts';
import { copyExceptions } from './copy-exceptions.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';
import { recorded } from './records.ts';

/** One activity's share of a decision about many rows. */
const SLICE_MS = 60_000;

/** What people decide about single rows, whatever the run itself is doing meanwhile. */
export function exceptionActivities(dependencies: Dependencies) {
  const { db } = dependencies;
  return {
    decideExceptions: (input: DecisionSliceInput): Promise<DecisionResult & { done: boolean }> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        const { request, decision, filter, note, performedBy } = input;
        const result = await decideExceptions(
          target,
          jobOf(dependencies, input),
          { request, by: performedBy.name, decision, filter, note },
          { signal, untilMs: SLICE_MS, lockTimeoutMs: durationMs(input.backfill.lockTimeout) },
        );
        await tell(db, target, input);
        await logDecision(db, input, result);
        return result;
      }),

    undoRows: (input: UndoRowsWork): Promise<UndoRowsResult> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        const result = await undoRows(target, jobOf(dependencies, input), input.keys, { signal });
        await tell(db, target, input);
        const [restored, kept] = [result.restored.length, result.kept.length];
        const counts = { ...NO_ROWS, processed: restored + kept, migrated: restored, skipped: kept };
        const outcome = `${restored} restored, ${kept} kept, ${result.unknown.length} unknown`;
        await recorded(recordLogEntry(db, logKey(input, 'undo-rows'), logHead(input), { counts, outcome }));
        return result;
      }),

    countOpenExceptions: async (input: { runId: string; target: string }): Promise<OpenExceptions[]> =>
      targetNamed(dependencies, input.target).transaction({ readOnly: true }, (session) =>
        countOpen(session, input.runId),
      ),
  };
}

/** Shows in the control database what has become of the exceptions, and of the backfill's counts with them. */
async function tell(db: ControlDb, target: Target, input: BackfillInput): Promise<void> {
  const { runId, phase } = input;
  await copyExceptions(db, target, input);
  const checkpoint = await readCheckpoint(target, runId, phase);
  if (checkpoint) await recorded(reportCounts(db, runId, phase, checkpoint.counts));
}

/** A decision that writes no row leaves no trace in the log of what was written. */
async function logDecision(
  db: ControlDb,
  input: DecisionSliceInput,
  { resolved, replayed, skipped, left }: DecisionResult,
): Promise<void> {
  const action = input.decision.kind;
  const migrated = resolved + replayed;
  if (action === 'skip' || migrated === 0) return;
  const counts = { ...NO_ROWS, processed: migrated + skipped, migrated, skipped };
  const outcome = `${migrated} ${action === 'resolve' ? 'resolved' : 'replayed'}, ${skipped} skipped, ${left} left open`;
  await recorded(recordLogEntry(db, logKey(input, action), logHead(input), { counts, outcome }));
}

function jobOf({ transforms }: Dependencies, { runId, backfill }: BackfillInput) {
  return { runId, phase: backfill, transforms };
}

function logKey(
  { runId, phase, request }: BackfillInput & { request: string },
  action: 'resolve' | 'replay' | 'undo-rows',
) {
  return { runId, phase, action, request };
}

function logHead({ planName, target, backfill, performedBy }: BackfillInput) {
  return { planName, target, tableName: backfill.table, performedBy: performedBy.name };
}
