import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  doublePrecision,
  index,
  integer,
  pgSchema,
  primaryKey,
  real,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import type { RowCounts } from '../domain/counts.ts';
import type { Limiter, SignalReport } from '../domain/load-control.ts';
import type { Plan } from '../domain/plan.ts';
import type { Role } from '../domain/role.ts';
import type { ExceptionKind, ExceptionStatus } from '../domain/row-exception.ts';
import type { RunStatus } from '../domain/run-state.ts';
import { codePoints, jsonb, text } from './columns.ts';

/** The control database's own schema, so that it can share a database with something else. */
export const control = pgSchema('cutover_control');

const at = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

/** Versions of plans, each immutable. Registering an earlier version's document again makes a new version of it. */
export const plans = control.table(
  'plans',
  {
    name: text().notNull(),
    version: integer().notNull(),
    hash: text().notNull(),
    document: jsonb().$type<Plan>().notNull(),
    registeredBy: text('registered_by').notNull(),
    registeredAt: at('registered_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.name, table.version] }),
    index('plans_name_hash').on(table.name, table.hash),
  ],
);

export const runs = control.table(
  'runs',
  {
    /** Also the id of the run's migration workflow. */
    id: text().primaryKey(),
    planName: text('plan_name').notNull(),
    planVersion: integer('plan_version').notNull(),
    planHash: text('plan_hash').notNull(),
    target: text().notNull(),
    status: text().$type<RunStatus>().notNull(),
    /** Name of the present or last phase. */
    phase: text(),
    /** In words, why the run is where it is. */
    reason: text(),
    /** How many times faster than real time its holds are. */
    timeScale: real('time_scale').notNull().default(1),
    /** Replaces the batch size of every backfill, when given. */
    batchSize: integer('batch_size'),
    startedBy: text('started_by').notNull(),
    starterRole: text('starter_role').$type<Role>().notNull(),
    idempotencyKey: text('idempotency_key'),
    createdAt: at('created_at').notNull().defaultNow(),
    updatedAt: at('updated_at').notNull().defaultNow(),
    finishedAt: at('finished_at'),
  },
  (table) => [
    uniqueIndex('runs_one_active_per_plan_and_target')
      .on(table.planName, table.target)
      .where(sql`${table.finishedAt} IS NULL`),
    uniqueIndex('runs_idempotency_key').on(table.idempotencyKey),
    index('runs_created_at').on(table.createdAt),
  ],
);

export type PhaseState =
  | 'pending'
  | 'running'
  | 'completed'
  | 'failed'
  | 'undoing'
  | 'undone'
  | 'undo_failed';

/** What a backfill shows while it works. */
export type Progress = {
  counts: RowCounts;
  /** Rows to expect in all; the planner's estimate, null when unknown. */
  estimatedRows: number | null;
  rowsPerSecond: number;
  /** What keeps it from going faster; null when nothing does. */
  limiter?: Limiter | null;
  /** When it will be done, between two instants as ISO texts; null while there is too little to say. */
  eta?: { low: string; high: string } | null;
  /** What is watched, as it was measured last. */
  signals?: SignalReport[];
  /** Outside of its hours, until an instant as ISO text. */
  closed?: { until: string; why: string } | null;
};

export const runPhases = control.table(
  'run_phases',
  {
    runId: text('run_id')
      .notNull()
      .references(() => runs.id),
    position: integer().notNull(),
    name: text().notNull(),
    kind: text().notNull(),
    state: text().$type<PhaseState>().notNull(),
    /** In words, what the phase did or why it failed. */
    summary: text(),
    progress: jsonb().$type<Progress>(),
    /** Up to where the changes of its exceptions in the target were copied. */
    exceptionsSeen: text('exceptions_seen'),
    startedAt: at('started_at'),
    finishedAt: at('finished_at'),
  },
  (table) => [primaryKey({ columns: [table.runId, table.name] })],
);

/** What happened in a run, in order; the stream that watchers follow. */
export const runEvents = control.table(
  'run_events',
  {
    id: bigserial({ mode: 'number' }).primaryKey(),
    runId: text('run_id').notNull(),
    /** Makes a retried write the same event; unique within the run. */
    key: text(),
    type: text().notNull(),
    phase: text(),
    message: text().notNull(),
    data: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    at: at('at').notNull().defaultNow(),
  },
  (table) => [
    index('run_events_run').on(table.runId, table.id),
    uniqueIndex('run_events_key').on(table.runId, table.key),
  ],
);

export const gateMeasurements = control.table(
  'gate_measurements',
  {
    runId: text('run_id').notNull(),
    phase: text().notNull(),
    percentage: doublePrecision().notNull(),
    gate: text().notNull(),
    /** Counts the measurements of a gate within its stage; makes a retried write the same row. */
    sequence: integer().notNull(),
    value: doublePrecision(),
    verdict: text().notNull(),
    reason: text().notNull(),
    at: at('at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.runId, table.phase, table.percentage, table.gate, table.sequence] }),
  ],
);

/** Rows that a backfill set aside, copied from the target so that the API needs no connection to it. */
export const runExceptions = control.table(
  'run_exceptions',
  {
    runId: text('run_id').notNull(),
    /** Its id in the target. */
    exceptionId: bigint('exception_id', { mode: 'number' }).notNull(),
    phase: text().notNull(),
    /** The row's key as a JSON list of texts. */
    key: text().notNull(),
    /** Sorts as the keys do. */
    sortKey: codePoints('sort_key').notNull(),
    kind: text().$type<ExceptionKind>().notNull(),
    reason: text().notNull(),
    suggestion: jsonb(),
    /** Can the suggestion be accepted as it is? */
    acceptable: boolean().notNull().default(false),
    sqlstate: text(),
    /** The database's words, and what may help. */
    message: text(),
    /** What failed, for this row alone, and its parameters as text. */
    statement: text(),
    parameters: jsonb().$type<unknown[]>(),
    status: text().$type<ExceptionStatus>().notNull().default('open'),
    /** Why it was decided so, or could not be. */
    note: text(),
    /** The values that were written, by column. */
    value: jsonb().$type<Record<string, unknown>>(),
    decidedBy: text('decided_by'),
    decidedAt: at('decided_at'),
    /** Rises with each change of the target's record; an older one never replaces a newer. */
    revision: integer().notNull().default(0),
    recordedAt: at('recorded_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.runId, table.exceptionId] }),
    index('run_exceptions_in_order').on(table.runId, table.sortKey, table.exceptionId),
  ],
);

export const LOG_ACTIONS = [
  'backfill',
  'verify',
  'dry-run',
  'undo',
  'undo-rows',
  'resolve',
  'replay',
] as const;
export type LogAction = (typeof LOG_ACTIONS)[number];

/** One row per backfill, dry run, undo or decision about rows: what was processed, by whom, when, with what result. */
export const migrationLog = control.table(
  'migration_log',
  {
    id: bigserial({ mode: 'number' }).primaryKey(),
    runId: text('run_id').notNull(),
    planName: text('plan_name').notNull(),
    target: text().notNull(),
    phase: text().notNull(),
    tableName: text('table_name').notNull(),
    action: text().$type<LogAction>().notNull(),
    /** Tells apart what can happen to a phase more than once; empty for what happens once. */
    request: text().notNull().default(''),
    processed: bigint({ mode: 'number' }).notNull().default(0),
    succeeded: bigint({ mode: 'number' }).notNull().default(0),
    skipped: bigint({ mode: 'number' }).notNull().default(0),
    ambiguous: bigint({ mode: 'number' }).notNull().default(0),
    failed: bigint({ mode: 'number' }).notNull().default(0),
    errorDetails: jsonb('error_details').$type<unknown[]>().notNull().default([]),
    performedBy: text('performed_by').notNull(),
    startedAt: at('started_at').notNull().defaultNow(),
    finishedAt: at('finished_at'),
    outcome: text(),
  },
  (table) => [uniqueIndex('migration_log_once').on(table.runId, table.phase, table.action, table.request)],
);

/** Who did what through the API, and whether it was accepted. */
export const auditTrail = control.table(
  'audit_trail',
  {
    id: bigserial({ mode: 'number' }).primaryKey(),
    at: at('at').notNull().defaultNow(),
    actor: text().notNull(),
    role: text().notNull(),
    action: text().notNull(),
    subject: text().notNull(),
    accepted: boolean().notNull(),
    details: jsonb().$type<Record<string, unknown>>().notNull().default({}),
  },
  (table) => [index('audit_trail_subject').on(table.subject, table.id)],
);

export const dryRuns = control.table('dry_runs', {
  id: text().primaryKey(),
  planName: text('plan_name').notNull(),
  planVersion: integer('plan_version').notNull(),
  target: text().notNull(),
  performedBy: text('performed_by').notNull(),
  createdAt: at('created_at').notNull().defaultNow(),
  finishedAt: at('finished_at'),
  /** Reports of the phases looked at so far, by phase. */
  phases: jsonb().$type<Record<string, unknown>>().notNull().default({}),
  /** The whole report; null until it is finished. */
  report: jsonb().$type<Record<string, unknown>>(),
});
