import type { BackfillPhase } from './backfill-phase.ts';
import type { Duration } from './duration.ts';
import type { PhaseBase } from './phase-base.ts';
import type { Role } from './role.ts';

export type * from './backfill-phase.ts';

/**
 * The plan document as the engine sees it: validated, with every default filled in.
 * `plan/schema.ts` holds the zod schema that produces it and is checked against these types.
 */
export type Plan = {
  /** Unique among plans; a slug, part of run ids. */
  name: string;
  description: string;
  /** Name of the configured database connection that the plan changes. */
  target: string;
  /** Serves the plan's backfill under `POST /functions/v1/<endpoint>` as well, for callers of older migration functions. */
  endpoint?: string | undefined;
  phases: Phase[];
};

export type Phase =
  | SchemaPhase
  | SyncPhase
  | BackupPhase
  | BackfillPhase
  | VerifyPhase
  | ValidatePhase
  | ApprovalPhase
  | RolloutPhase
  | SoakPhase
  | CleanupPhase;

export type PhaseKind = Phase['kind'];

export type SchemaPhase = PhaseBase & {
  kind: 'schema';
  up: string[];
  down: string[];
  /** Longest wait for a lock, per attempt. Other sessions queue behind a waiting ALTER for at most this long. */
  lockTimeout: Duration;
  /** Attempts to get the locks, with jittered pauses between them. */
  lockAttempts: number;
  /** Findings of the DDL linter that the author has looked at and accepts. */
  waivers: Waiver[];
};

/** Accepts one finding of the DDL linter, for a reason that the reviewer reads. */
export type Waiver = {
  /** The linter's rule: `adding-field-with-default`. */
  rule: string;
  reason: string;
  /** Position of the statement in its list, from 0; all of the phase's unless given. */
  statement?: number | undefined;
};

/**
 * Keeps rows that the application writes meanwhile equal to their transform, from here on until the first cleanup phase
 * begins, or the run ends.
 */
export type SyncPhase = PhaseBase & {
  kind: 'sync';
  /** Name of the backfill phase whose rows and transform these are. */
  backfill: string;
  /**
   * `trigger`: triggers apply the same SQL expressions in the application's own transaction. `capture`: triggers note the
   * keys of changed rows, and Cutover derives those rows soon after. `application`: the application writes both shapes, and
   * Cutover only watches for drift.
   */
  mode: 'trigger' | 'capture' | 'application';
  lockTimeout: Duration;
  lockAttempts: number;
  /** How often it is looked whether the sync still does its work. */
  watchInterval: Duration;
  /** What drift leads to: a note in the run's events, rows derived anew, or a hold for a person. */
  onDrift: 'report' | 'repair' | 'hold';
  /** Captured keys that may wait before it counts as drift. */
  queueLimit: number;
};

/** Derives every row of a backfill again and compares; holds also while the application writes. */
export type VerifyPhase = PhaseBase & {
  kind: 'verify';
  backfill: string;
  /** What becomes of rows that differ from their transform: derived anew, or listed while the phase fails. */
  onDrift: 'repair' | 'fail';
  batchSize: number;
  parallelism: number;
};

export type BackupPhase = PhaseBase & {
  kind: 'backup';
  tables: BackupTable[];
  onRollback: 'drop' | 'keep';
};

export type BackupTable = {
  table: string;
  /** SQL condition that limits the copy, over the columns of the table. */
  where?: string | undefined;
  /** Name of the copy; `<table>_backup_<yyyymmdd>` unless given. */
  as?: string | undefined;
};

export type ValidatePhase = PhaseBase & { kind: 'validate'; queries: ValidationQuery[] };

export type ValidationQuery = {
  name: string;
  /** One read-only statement. `:run_id` is bound to the run's id. */
  sql: string;
  expect: Expectation;
};

export type Comparison = '<' | '<=' | '=' | '!=' | '>=' | '>';

/**
 * What a validation query must return: no rows at all; a first row whose columns have these values; a first column of the
 * first row that compares so with a number; or anything, when it is informational.
 */
export type Expectation =
  | { kind: 'no-rows' }
  | { kind: 'values'; values: Record<string, string | number | boolean | null> }
  | { kind: 'compare'; op: Comparison; value: number }
  | { kind: 'informational' };

export type ApprovalPhase = PhaseBase & {
  kind: 'approval';
  /** Who may approve: holders of the roles, or people by name. */
  roles: Exclude<Role, 'viewer'>[];
  people: string[];
  /** Distinct people needed. */
  count: number;
  /** May the person who started the run approve it? */
  allowStarter: boolean;
  deadline: Duration;
  onDeadline: 'rollback' | 'hold';
};

export type FlagReference = {
  /** Name of the flag. */
  name: string;
  /** Table of the target that holds the flags, with columns name, enabled and rollout_percentage. */
  table: string;
};

export type RolloutPhase = PhaseBase & {
  kind: 'rollout';
  flag: FlagReference;
  stages: RolloutStage[];
  gates: Gate[];
};

export type RolloutStage = {
  /** Share of users who get the new behaviour, 0 to 100, rising from stage to stage. */
  percentage: number;
  /** How long the stage is watched before the next. */
  hold: Duration;
};

export type Gate = {
  name: string;
  /**
   * One read-only statement whose first column of the first row is the measured number; no row or NULL means no data.
   * `:since` is bound to the later of the stage's start and now − window; `:run_id`, `:percentage` are bound as well.
   */
  sql: string;
  op: Comparison;
  threshold: number;
  /** In what the number is measured, for display: `%`, `ms`. */
  unit: string;
  window: Duration;
  interval: Duration;
  /** Failed measurements in a row that are tolerated; the next one is a breach. */
  failureLimit: number;
  /** Measurements in a row that may end in an error before it counts as `noData` does. */
  errorLimit: number;
  /** What it means when there is nothing to measure. `hold` keeps the stage until there is. */
  noData: 'hold' | 'breach';
};

export type SoakPhase = PhaseBase & {
  kind: 'soak';
  /** The flag must have been at 100 % for this long, counted from when the rollout reached it. */
  flag: FlagReference;
  for: Duration;
  gates: Gate[];
};

export type CleanupPhase = PhaseBase & {
  kind: 'cleanup';
  /** Refused until the flag has been at 100 % for this long. */
  after?: { flag: FlagReference; for: Duration } | undefined;
  statements: string[];
  lockTimeout: Duration;
  lockAttempts: number;
  waivers: Waiver[];
};
