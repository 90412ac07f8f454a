import type { Actor } from '../domain/approval.ts';
import type { RowCounts } from '../domain/counts.ts';
import type { DriftKind } from '../domain/drift.ts';
import type { FlagState } from '../domain/flag-state.ts';
import type { GateHistory } from '../domain/gate-verdict.ts';
import type {
  BackfillPhase,
  BackupPhase,
  FlagReference,
  Gate,
  Phase,
  Plan,
  SyncPhase,
  ValidationQuery,
  VerifyPhase,
} from '../domain/plan.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';
import type {
  DecisionResult,
  ExceptionDecision,
  ExceptionFilter,
  ExceptionKind,
} from '../domain/row-exception.ts';
import type { RunStatus } from '../domain/run-state.ts';
import type { SampleSize } from '../domain/sample-size.ts';
import type { VerifyCounts } from '../domain/verification.ts';
import type { RollbackPreviewInput, RollbackStep, UndoRowsResult } from './runs.ts';

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
  type: 'command' | 'stage' | 'flag' | 'load' | 'note';
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
/** `lane` counts the connections that work on the backfill at once, from 0. */
export type BackfillSliceInput = BackfillInput & { lane: number };
export type BackfillSliceResult = {
  done: boolean;
  /** Totals of the phase. */
  counts: RowCounts;
  /** No batch may run before, in milliseconds since the epoch. */
  closed?: { until: number; why: string };
};
/** `request` names the decision: made again under its name it does nothing twice. */
export type DecisionSliceInput = BackfillInput & {
  request: string;
  decision: ExceptionDecision;
  filter: ExceptionFilter;
  note?: string | undefined;
};
/** `request` tells this undo of single rows from others of the same run. */
export type UndoRowsWork = BackfillInput & { keys: string[][]; request: string };
/** Rows that there are to restore; about so many where it is not `exact`. */
export type UndoBeginning = { rows: number; exact: boolean };
export type UndoSliceResult = {
  done: boolean;
  /** Totals of the phase. */
  restored: number;
  kept: number;
  rows: number;
  /** No batch may run before, in milliseconds since the epoch. */
  closed?: { until: number; why: string };
};

export type OpenExceptions = { phase: string; kind: ExceptionKind; rows: number };

export type SyncInput = PhaseRef & { sync: SyncPhase; backfill: BackfillPhase };
export type WatchSyncInput = SyncInput & {
  /** Between two checks, in milliseconds. */
  intervalMs: number;
  /** Nothing is written then; what is wrong is still seen. */
  paused: boolean;
  /** Whether what is found is put right. */
  repair: boolean;
  /** Kinds of drift that are known: the same again is no news. */
  known: DriftKind[];
};
export type WatchSyncResult = {
  /** What the last check found; empty when all is well. */
  drifts: { kind: DriftKind; reason: string }[];
  /** Rows that were found wrong, and derived anew. */
  repaired: number;
};

export type VerifyInput = PhaseRef & {
  verify: VerifyPhase;
  backfill: BackfillPhase;
  /** Names of the run's sync phases for that backfill. */
  syncs: string[];
  /** Another one begins from the first row again; the same goes on where it was. */
  attempt: string;
  performedBy: Actor;
};
/** `lane` counts the connections that work on the verification at once, from 0. */
export type VerifySliceInput = VerifyInput & { lane: number };
export type VerifySliceResult = {
  done: boolean;
  /** Totals of the phase. */
  counts: VerifyCounts;
  /** No chunk may run before, in milliseconds since the epoch. */
  closed?: { until: number; why: string };
};

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
  sample?: SampleSize | undefined;
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
  /** Works on the backfill for some minutes as one of its lanes, from where the target says that its ranges are. */
  backfillSlice(input: BackfillSliceInput): Promise<BackfillSliceResult>;
  /** Copies what is left of the exceptions and closes the log entry; returns the phase's totals. */
  finishBackfill(input: BackfillInput): Promise<RowCounts>;
  /** Takes the backfill over for its undo, which it cannot leave again, and counts what there is to restore. */
  beginUndo(input: BackfillInput): Promise<UndoBeginning>;
  /** Restores rows for some minutes as one of the undo's lanes; resumes where earlier attempts stopped. */
  undoBackfillSlice(input: BackfillSliceInput): Promise<UndoSliceResult>;
  /** Copies what is left of the exceptions and closes the log entry; returns the phase's totals. */
  finishUndo(input: BackfillInput): Promise<{ restored: number; kept: number }>;
  /** Restores single rows by their keys. */
  undoRows(input: UndoRowsWork): Promise<UndoRowsResult>;
  /** Carries out a decision about rows that were set aside, for some minutes at most; call it again until it is done. */
  decideExceptions(input: DecisionSliceInput): Promise<DecisionResult & { done: boolean }>;
  /** Exceptions of the run that nobody has decided about yet, by phase and kind. */
  countOpenExceptions(input: { runId: string; target: string }): Promise<OpenExceptions[]>;
  /** Puts the sync's triggers on its table, in one transaction; what an earlier attempt did is not done again. */
  installSync(input: SyncInput): Promise<void>;
  /** Looks after a sync for some minutes: derives what was captured, checks, repairs. Ends at once when there is news. */
  watchSync(input: WatchSyncInput): Promise<WatchSyncResult>;
  /** Works for some minutes on ending a sync without losing what it has captured; call it again until it is done. */
  finishSync(input: SyncInput): Promise<{ done: boolean; keys: number; failed: number }>;
  /** Takes a sync away as it is, for a run that is undone; says whether there was one. */
  removeSync(input: SyncInput): Promise<boolean>;
  /** Works on the verification for some minutes as one of its lanes, from where the target says that its ranges are. */
  verifySlice(input: VerifySliceInput): Promise<VerifySliceResult>;
  /** Records the result and closes the log entry; fails with VerificationFailed when rows differ. */
  finishVerification(input: VerifyInput): Promise<VerifyCounts>;
  /** Runs every query and records what each found; fails with ValidationFailed when one does not meet its expectation. */
  validate(input: ValidationInput): Promise<{ passed: number; informational: number }>;
  /** Sets a flag. Closing a flag that is not there succeeds: nobody can see it. */
  setFlag(input: FlagInput): Promise<void>;
  readFlag(input: PhaseRef & { flag: FlagReference }): Promise<FlagState>;
  /** Measures the gates at once, judges and records each; returns what they remember now, by name. */
  sampleGates(input: SampleInput): Promise<Record<string, GateHistory>>;
  /** What the phase would do, found out in READ ONLY transactions. */
  dryRunPhase(input: DryRunPhaseInput): Promise<{ summary: string }>;
  /** What undoing each of the phases would do, in the order in which that is done. Writes nothing. */
  previewRollback(input: RollbackPreviewInput): Promise<RollbackStep[]>;
  /** Removes the run's rows from Cutover's own schema of the target, and the schema with the last of them. */
  forgetRun(input: { runId: string; target: string }): Promise<void>;
};
