import type { Actor } from '../domain/approval.ts';
import type { RowCounts } from '../domain/counts.ts';
import type { FlagState } from '../domain/flag-state.ts';
import type { GateHistory } from '../domain/gate-verdict.ts';
import type {
  BackfillPhase,
  BackupPhase,
  FlagReference,
  Gate,
  Phase,
  Plan,
  ValidationQuery,
} from '../domain/plan.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';
import type { RunStatus } from '../domain/run-state.ts';
import type { UndoRowsResult } from './runs.ts';

/** Which phase of which run an activity works for. */
export type PhaseRef = { runId: string; planName: string; target: string; phase: string };

export type StatusRecord = {
  runId: string;
  status: RunStatus;
  reason: string | null;
  phase: string | null;
  key: string;
};

export type PhaseRecord = {
  runId: string;
  phase: string;
  state: 'running' | 'completed' | 'failed' | 'undoing' | 'undone' | 'undo_failed';
  summary: string | null;
  key: string;
};

export type NoteRecord = {
  runId: string;
  phase: string | null;
  type: 'command' | 'stage' | 'flag' | 'note';
  message: string;
  data?: Record<string, unknown>;
  key: string;
};

export type SchemaChangeInput = PhaseRef & {
  direction: 'up' | 'down';
  statements: string[];
  lockTimeoutMs: number;
  lockAttempts: number;
};

export type BackupInput = PhaseRef & {
  backup: BackupPhase /** Day of the run's start, yyyy-mm-dd in UTC. */;
  runDate: string;
};
export type BackupResult = { table: string; backup: string; rows: number }[];

export type BackfillInput = PhaseRef & { backfill: BackfillPhase; performedBy: Actor };
export type BackfillSliceResult = { done: boolean; counts: RowCounts };
export type UndoSliceResult = { done: boolean; restored: number; kept: number };

export type ValidationInput = PhaseRef & { queries: ValidationQuery[] };
export type QueryResult = {
  name: string;
  passed: boolean;
  informational: boolean;
  /** What came back, in words, and what was expected. */
  found: string;
  /** Kept in the control database only: first rows, for an informational query or a failed one. */
  sample: Record<string, unknown>[];
};

export type FlagInput = PhaseRef & FlagState & { flag: FlagReference };

export type SampleInput = PhaseRef & {
  gates: Gate[];
  /** By gate name. */
  histories: Record<string, GateHistory>;
  percentage: number;
  /** Milliseconds since the epoch. */
  stageStartedAt: number;
  /** Counts the samplings of the stage. */
  sequence: number;
  timeScale: number;
};

export type DryRunPhaseInput = {
  plan: Plan;
  phase: Phase;
  dryRunId: string;
  performedBy: Actor;
  batchSize?: number | undefined;
  offset?: number | undefined;
  limit?: number | undefined;
};
/** Kept in the control database, never in a payload: it shows rows. */
export type DryRunPhaseReport = {
  name: string;
  kind: string;
  summary: string;
  details: Record<string, unknown>;
};

export type DryRunEnd = {
  id: string;
  plan: string;
  target: string;
  problems: PlanProblem[];
  /** Names of the phases that were looked at, in order. */
  phases: string[];
};

/** Activities of the control queue, as workflows call them. */
export type ControlActivities = {
  recordStatus(record: StatusRecord): Promise<void>;
  recordPhase(record: PhaseRecord): Promise<void>;
  recordNote(record: NoteRecord): Promise<void>;
  /** Puts the report together from what the phases' activities stored. */
  finishDryRun(input: DryRunEnd): Promise<void>;
};

/** Activities of a target's queue, as workflows call them. */
export type TargetActivities = {
  /** Everything that keeps the plan from running on the target as it is now. Writes nothing. */
  findProblems(input: { plan: Plan }): Promise<PlanProblem[]>;
  /** Fails with PreflightRefused, naming every problem, when there is one. */
  preflight(input: { plan: Plan }): Promise<void>;
  /** Applies or reverts statements; what an earlier attempt did is not done again. */
  changeSchema(input: SchemaChangeInput): Promise<{ applied: number }>;
  /** Copies each table, proving its row count. */
  backUp(input: BackupInput): Promise<BackupResult>;
  /** Drops the copies that this run made; returns their names. */
  dropBackups(input: BackupInput): Promise<string[]>;
  /** Works on the backfill for some minutes, from the checkpoint that the target holds. */
  backfillSlice(input: BackfillInput): Promise<BackfillSliceResult>;
  /** Copies what is left of the exceptions and closes the log entry; returns the phase's totals. */
  finishBackfill(input: BackfillInput): Promise<RowCounts>;
  /** Restores rows for some minutes; resumes where an earlier attempt stopped. */
  undoBackfillSlice(input: BackfillInput): Promise<UndoSliceResult>;
  /** Restores single rows by their keys. */
  undoRows(input: BackfillInput & { keys: string[][] }): Promise<UndoRowsResult>;
  /** Runs every query and records what each found; fails with ValidationFailed when one does not meet its expectation. */
  validate(input: ValidationInput): Promise<{ passed: number; informational: number }>;
  /** Sets a flag. Closing a flag that is not there succeeds: nobody can see it. */
  setFlag(input: FlagInput): Promise<void>;
  readFlag(input: PhaseRef & { flag: FlagReference }): Promise<FlagState>;
  /** Measures the gates at once, judges and records each; returns what they remember now, by name. */
  sampleGates(input: SampleInput): Promise<Record<string, GateHistory>>;
  /** What the phase would do, found out in READ ONLY transactions. */
  dryRunPhase(input: DryRunPhaseInput): Promise<{ summary: string }>;
  /** Removes the run's rows from Cutover's own schema of the target, and the schema with the last of them. */
  forgetRun(input: { runId: string; target: string }): Promise<void>;
};
