import type { Duration } from './duration.ts';
import type { LoadSignal } from './load-signal.ts';
import type { Blackout, Window } from './open-hours.ts';
import type { PhaseBase } from './phase-base.ts';

export type BackfillPhase = PhaseBase & {
  kind: 'backfill';
  table: string;
  /** Columns of the keyset, when it is not the primary key. They must be NOT NULL and unique together. */
  key?: string[] | undefined;
  /** SQL condition for the rows that the transform is for. Others are left alone and not counted, by sync and verify too. */
  where?: string | undefined;
  /** SQL condition for those of them that still need it: the backfill leaves the others alone; sync and verify do not. */
  pending?: string | undefined;
  transform: SqlTransform | InsertTransform | RegisteredTransform;
  /**
   * SQL types of columns that an earlier schema phase adds, so that a dry run can stand in for them before they exist: of the
   * table that rows are copied into, where they are written there.
   */
  columns: Record<string, string>;
  /** Rows of the first batch; later ones are sized by the time they take. */
  batchSize: number;
  /** How long a batch should take. */
  batchDuration: Duration;
  /** No batch is larger, however fast it would be. The same as `batchSize` keeps all batches at that size or below. */
  maxBatchSize: number;
  /** Connections that work at once, over all workers; load signals may allow fewer. */
  parallelism: number;
  /** Longest wait of a batch for a row that the application holds. */
  lockTimeout: Duration;
  /** What is watched while batches run, and how far it may go. */
  throttle: LoadSignal[];
  /** When batches may run; always, unless there are any. */
  windows: Window[];
  /** When none may run, whatever the windows say. */
  blackouts: Blackout[];
  undo: BackfillUndo;
  errorBudget: ErrorBudget;
  /** Columns whose values appear in no exception, sample or log. */
  redact: string[];
};

/** New column values as SQL expressions over the row: `UPDATE … SET column = expression`. */
export type SqlTransform = { kind: 'sql'; set: Record<string, string> };

/** Rows for another table, as SQL expressions over the row: `INSERT INTO … SELECT expression … FROM table`. */
export type InsertTransform = {
  kind: 'insert';
  into: string;
  /** SQL expressions by the column of `into` that they are written to. */
  values: Record<string, string>;
  /** Unique columns of `into` that tell its rows apart, and through which a row is found again: written by `values`. */
  identifiedBy: string[];
  /** What becomes of a row that is there already: it is left alone, or gets the values. */
  onConflict: 'nothing' | 'update';
};

/** A TypeScript function that the worker has registered under this name; the version pins its meaning. */
export type RegisteredTransform = {
  kind: 'registered';
  name: string;
  version: number;
  /** Threads beside the worker's own that run it, per worker; 0 runs it on the worker's own. */
  threads: number;
};

/**
 * How migrated rows get their old values back: `journal` restores the pre-image kept in the batch's own transaction;
 * `sql` runs the plan's statement over batches of migrated keys, bound as the parameter `:keys`; `none` leaves them.
 */
export type BackfillUndo = ({ kind: 'journal' } | { kind: 'sql'; statement: string } | { kind: 'none' }) & {
  /** The undo keeps to the backfill's windows and blackouts; otherwise a rollback does not wait for them. */
  onlyInWindows?: boolean | undefined;
};

export type ErrorBudget = {
  /** Failing rows allowed; the phase fails on the next one. */
  rows: number;
  /** Share of processed rows that may fail, 0 to 1; judged once 50 rows are processed. */
  share: number;
};
