import { z } from 'zod';
import { DURATION_PATTERN, type Duration } from '../domain/duration.ts';
import type { Plan } from '../domain/plan.ts';

/*
 * The plan document. Descriptions become the JSON Schema's, so they are written for the author of a plan.
 * Every object is strict: a misspelt key is a problem, not a silent default.
 */

const slug = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}$/,
    'use lower-case letters, digits and dashes, at most 63, as in "backfill-events"',
  );

const duration = z
  .string()
  .regex(DURATION_PATTERN, 'write a whole number and ms, s, m, h, d or w, as in "24h"')
  .describe('A whole number and ms, s, m, h, d or w: "24h"')
  // The regular expression has just proven what the template literal type says.
  .transform((text) => text as Duration);

const sql = z.string().trim().min(1, 'write a SQL statement');
const condition = z.string().trim().min(1, 'write a SQL condition, or leave `where` out');
const table = z.string().trim().min(1, 'name a table, with its schema where it is not on the search path');
const comparison = z.enum(['<', '<=', '=', '!=', '>=', '>']);

const base = {
  name: slug.describe('Unique within the plan'),
  description: z.string().default(''),
  onFailure: z
    .enum(['rollback', 'hold'])
    .default('rollback')
    .describe('On failure: undo everything that was done, or wait for a person to resume or roll back'),
};
const pointOfNoReturn = z
  .boolean()
  .describe(
    'Once this phase has begun the run can no longer be rolled back; a failure then holds for a person',
  );
const returnable = { ...base, pointOfNoReturn: pointOfNoReturn.default(false) };
const locks = {
  lockTimeout: duration
    .default('2s')
    .describe('Longest wait for a lock per attempt; others queue behind it for no longer'),
  lockAttempts: z
    .int()
    .min(1)
    .max(1000)
    .default(30)
    .describe('Attempts to get the lock, with jittered pauses between'),
};

const schemaPhase = z.strictObject({
  kind: z.literal('schema'),
  ...returnable,
  up: z.array(sql).min(1, 'list at least one statement').describe('One statement each, run in order'),
  down: z.array(sql).default([]).describe('The statements that undo `up`, run in order on rollback'),
  ...locks,
});

const backupPhase = z.strictObject({
  kind: z.literal('backup'),
  ...returnable,
  tables: z
    .array(
      z.strictObject({
        table,
        where: condition.optional().describe('Copies only the rows that meet this condition'),
        as: z.string().max(63).optional().describe('Name of the copy; <table>_backup_<yyyymmdd> by default'),
      }),
    )
    .min(1, 'list at least one table'),
  onRollback: z
    .enum(['drop', 'keep'])
    .default('drop')
    .describe('What becomes of the copies after a rollback'),
});

const transform = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sql'),
    set: z
      .record(z.string().min(1), sql)
      .refine((set) => Object.keys(set).length > 0, 'set at least one column')
      .describe('Column: SQL expression over the row'),
  }),
  z.strictObject({
    kind: z.literal('registered'),
    name: z.string().min(1).describe('Name under which the worker registered the transform'),
    version: z.int().min(1).describe('Version that this plan was reviewed with'),
  }),
]);

const undo = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('journal') }),
  z.strictObject({
    kind: z.literal('sql'),
    statement: sql.describe('Run over batches of migrated keys, bound as :keys'),
  }),
  z.strictObject({ kind: z.literal('none') }),
]);

const backfillPhase = z.strictObject({
  kind: z.literal('backfill'),
  ...returnable,
  table,
  key: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('Unique NOT NULL columns to page by, instead of the primary key'),
  where: condition.optional().describe('Rows to migrate; others are left alone and not counted'),
  transform,
  columns: z
    .record(z.string().min(1), z.string().min(1))
    .default({})
    .describe('SQL types of columns that an earlier phase of this plan adds, for the dry run'),
  batchSize: z.int().min(1).max(100_000).default(1_000),
  undo: undo.default({ kind: 'journal' }),
  errorBudget: z
    .strictObject({ rows: z.int().min(0).default(100), share: z.number().min(0).max(1).default(0.05) })
    .default({ rows: 100, share: 0.05 })
    .describe(
      'Failing rows that are set aside before the phase fails: by count, and as a share of the rows processed',
    ),
});

const expectation = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('no-rows') }),
  z.strictObject({
    kind: z.literal('values'),
    values: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
      .describe('Column: value of the first row'),
  }),
  z.strictObject({ kind: z.literal('compare'), op: comparison, value: z.number() }),
  z.strictObject({ kind: z.literal('informational') }),
]);

const validatePhase = z.strictObject({
  kind: z.literal('validate'),
  ...returnable,
  queries: z
    .array(
      z.strictObject({
        name: slug,
        sql: sql.describe('One read-only statement; :run_id is bound'),
        expect: expectation,
      }),
    )
    .min(1, 'list at least one query'),
});

const approvalPhase = z.strictObject({
  kind: z.literal('approval'),
  ...returnable,
  roles: z.array(z.enum(['operator', 'approver', 'admin'])).default(['approver', 'admin']),
  people: z
    .array(z.string().min(1))
    .default([])
    .describe('Names of token holders who may approve whatever their role'),
  count: z.int().min(1).max(20).default(1).describe('Distinct people needed'),
  allowStarter: z.boolean().default(false).describe('May the person who started the run approve it?'),
  deadline: duration.default('48h'),
  onDeadline: z.enum(['rollback', 'hold']).default('rollback'),
});

const flag = z.strictObject({
  name: z.string().min(1),
  table: table
    .default('feature_flags')
    .describe('Table of the target with columns name, enabled, rollout_percentage'),
});

const gate = z.strictObject({
  name: slug,
  sql: sql.describe(
    'One read-only statement that returns one number; :since, :percentage and :run_id are bound',
  ),
  op: comparison,
  threshold: z.number(),
  unit: z.string().max(16).default(''),
  window: duration
    .default('15m')
    .describe('How far back a measurement looks, at most to the start of the stage'),
  interval: duration.default('5m'),
  failureLimit: z.int().min(0).default(0).describe('Failed measurements in a row that are tolerated'),
  errorLimit: z.int().min(0).default(4).describe('Measurements in a row that may end in an error'),
  noData: z
    .enum(['hold', 'breach'])
    .default('hold')
    .describe('What it means when there is nothing to measure'),
});

const rolloutPhase = z.strictObject({
  kind: z.literal('rollout'),
  ...returnable,
  flag,
  stages: z
    .array(z.strictObject({ percentage: z.number().gt(0).max(100), hold: duration }))
    .min(1, 'list at least one stage'),
  gates: z.array(gate).default([]),
});

const soakPhase = z.strictObject({
  kind: z.literal('soak'),
  ...returnable,
  flag,
  for: duration.describe(
    'How long the flag must have been at 100 %, counted from when the rollout reached it',
  ),
  gates: z.array(gate).default([]),
});

const cleanupPhase = z.strictObject({
  kind: z.literal('cleanup'),
  ...base,
  pointOfNoReturn: pointOfNoReturn.default(true),
  after: z
    .strictObject({ flag, for: duration })
    .optional()
    .describe('Refuses to begin until the flag has been at 100 % for this long'),
  statements: z.array(sql).min(1, 'list at least one statement'),
  ...locks,
});

export const phaseSchema = z.discriminatedUnion('kind', [
  schemaPhase,
  backupPhase,
  backfillPhase,
  validatePhase,
  approvalPhase,
  rolloutPhase,
  soakPhase,
  cleanupPhase,
]);

export const planSchema = z.strictObject({
  name: slug.describe('Unique among plans'),
  description: z.string().default(''),
  target: slug.describe('Name of the configured database connection that the plan changes'),
  endpoint: slug.optional().describe('Serves the backfill under POST /functions/v1/<endpoint> as well'),
  phases: z.array(phaseSchema).min(1, 'list at least one phase').max(100),
});

/** A plan as its author writes it: defaults may be left out. */
export type PlanInput = z.input<typeof planSchema>;

/** Fails to compile when the schema and the engine's own types drift apart. */
type Same<A, B> = [A, B] extends [B, A] ? true : never;
export const schemaMatchesDomain: Same<z.output<typeof planSchema>, Plan> = true;
