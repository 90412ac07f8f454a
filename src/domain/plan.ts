import type { Duration } from './duration.ts';
import type { Role } from './role.ts';

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
  | BackupPhase
  | BackfillPhase
  | ValidatePhase
  | ApprovalPhase
  | RolloutPhase
  | SoakPhase
  | CleanupPhase;

export type PhaseKind = Phase['kind'];

type PhaseBase = {
  /** Unique within the plan; a slug, part of workflow ids. */
  name: string;
  description: string;
  /** Once such a phase has started, the run can no longer be rolled back: a breach or failure holds for a person instead. */
  pointOfNoReturn: boolean;
  /** What a failure of the phase leads to: undo everything, or wait for `resume` (try again) or `rollback`. */
  onFailure: 'rollback' | 'hold';
};

export type SchemaPhase = PhaseBase & {
  kind: 'schema';
  up: string[];
  down: string[];
  /** Longest wait for a lock, per attempt. Other sessions queue behind a waiting ALTER for at most this long. */
  lockTimeout: Duration;
  /** Attempts to get the locks, with jittered pauses between them. */
  lockAttempts: number;
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

export type BackfillPhase = PhaseBase & {
  kind: 'backfill';
  table: string;
  /** Columns of the keyset, when it is not the primary key. They must be NOT NULL and unique together. */
  key?: string[] | undefined;
  /** SQL condition for the rows to migrate. Rows that do not meet it are left alone and not counted. */
  where?: string | undefined;
  transform: SqlTransform | RegisteredTransform;
  /** SQL types of written columns that an earlier schema phase adds, so that a dry run can stand in for them before they exist. */
  columns: Record<string, string>;
  batchSize: number;
  undo: BackfillUndo;
  errorBudget: ErrorBudget;
};

/** New column values as SQL expressions over the row: `UPDATE … SET column = expression`. */
export type SqlTransform = { kind: 'sql'; set: Record<string, string> };

/** A TypeScript function that the worker has registered under this name; the version pins its meaning. */
export type RegisteredTransform = { kind: 'registered'; name: string; version: number };

/**
 * How migrated rows get their old values back: `journal` restores the pre-image kept in the batch's own transaction;
 * `sql` runs the plan's statement over batches of migrated keys, bound as the parameter `:keys`; `none` leaves them.
 */
export type BackfillUndo = { kind: 'journal' } | { kind: 'sql'; statement: string } | { kind: 'none' };

export type ErrorBudget = {
  /** Failing rows allowed; the phase fails on the next one. */
  rows: number;
  /** Share of processed rows that may fail, 0 to 1; judged once 50 rows are processed. */
  share: number;
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
};
