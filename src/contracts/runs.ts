import type { Actor } from '../domain/approval.ts';
import type { RowCounts } from '../domain/counts.ts';
import type { BackfillPhase, Phase, Plan } from '../domain/plan.ts';
import type { RunSituation } from '../domain/run-state.ts';

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

/** The keys by what became of them. */
export type UndoRowsResult = {
  restored: string[][];
  /** Left alone, because they changed since they were migrated. */
  kept: string[][];
  /** Not migrated by this run, or undone already. */
  unknown: string[][];
};
