import type { Actor } from '../domain/approval.ts';
import type { RowCounts } from '../domain/counts.ts';
import type { BackfillPhase, Phase, PhaseKind, Plan } from '../domain/plan.ts';
import type { ExceptionDecision, ExceptionFilter } from '../domain/row-exception.ts';
import type { RunSituation } from '../domain/run-state.ts';
import type { SampleSize } from '../domain/sample-size.ts';
import type { UndoPreview } from '../domain/undo-preview.ts';

/** Input of the `migration` workflow. The plan is the registered version that the run is pinned to. */
export type MigrationInput = {
  runId: string;
  plan: Plan;
  planVersion: number;
  planHash: string;
  startedBy: Actor;
  /** How many times faster than real time holds and intervals are; 1 in production. */
  timeScale: number;
};

/** What every phase's workflow is told. */
export type PhaseInput<P extends Phase = Phase> = {
  runId: string;
  planName: string;
  target: string;
  phase: P;
  /** The backfill that a sync or verify phase names. */
  backfill?: BackfillPhase | undefined;
  /** Names of the sync phases for the backfill that a verify phase names. */
  syncs?: string[] | undefined;
  timeScale: number;
  /** Whose work it is in the migration log: who started the run, or who decided to undo it. */
  performedBy: Actor;
  /** The day on which the run began, yyyy-mm-dd in UTC; part of the names of backups. */
  runDate: string;
  /** When each flag's rollout reached 100 %, in milliseconds since the epoch, by flag name. */
  fullyRolledOutAt: Record<string, number>;
  /** Was the run paused when the phase began? */
  paused: boolean;
};

/** How a phase ended, when it did not fail. */
export type PhaseOutcome =
  | { kind: 'done'; summary: string; counts?: RowCounts; fullyRolledOutAt?: number }
  /** Undo everything, for this reason: a breached gate, a passed deadline. */
  | { kind: 'undo'; reason: string }
  /** Wait for a person, for this reason. */
  | { kind: 'hold'; reason: string };

/** Answer of the `state` query. */
export type RunState = RunSituation & {
  runId: string;
  reason: string | undefined;
  phases: { name: string; kind: string; state: string; summary?: string | undefined }[];
};

/** Input of the `dryRun` workflow, which writes nothing to the target. */
export type DryRunInput = {
  id: string;
  plan: Plan;
  performedBy: Actor;
  batchSize?: number | undefined;
  /** Rows to pass over first, in key order. */
  offset?: number | undefined;
  /** Rows to look at; all unless given. */
  limit?: number | undefined;
  /** Looks at random rows from all over each table instead. */
  sample?: SampleSize | undefined;
};

/** Input of the `undoRows` workflow, which restores single rows of a backfill by their keys. */
export type UndoRowsInput = {
  runId: string;
  planName: string;
  target: string;
  phase: BackfillPhase;
  /** A value per key column, as text. */
  keys: string[][];
  actor: Actor;
};

/** Input of the `decideExceptions` workflow, which carries out a decision about rows that a backfill set aside. */
export type DecideExceptionsInput = {
  runId: string;
  planName: string;
  target: string;
  phase: BackfillPhase;
  actor: Actor;
  decision: ExceptionDecision;
  filter: ExceptionFilter;
  /** Why, as the actor has it. */
  note?: string | undefined;
};

/** The keys by what became of them. */
export type UndoRowsResult = {
  restored: string[][];
  /** Left alone, because they changed since they were migrated. */
  kept: string[][];
  /** Not migrated by this run, or undone already. */
  unknown: string[][];
};

/** Input of the `rollbackPreview` workflow, which finds out what a rollback would do, and does nothing. */
export type RollbackPreviewInput = {
  runId: string;
  planName: string;
  target: string;
  plan: Plan;
  /** Names of the phases that have something to undo. */
  begun: string[];
  /** Whether to compare every row with what its batch had left, if there is time for that. */
  countKept: boolean;
};

/** What undoing one phase would do. */
export type RollbackStep = {
  phase: string;
  kind: PhaseKind;
  /** In words. */
  action: string;
  statements: string[];
  /** Of a backfill that has rows to restore. */
  rows: UndoPreview | null;
};

/** Input of the `forgetRun` workflow, which removes what the target holds of a run that has ended. */
export type ForgetRunInput = {
  runId: string;
  planName: string;
  target: string;
  plan: Plan;
  actor: Actor;
};
