import { z } from 'zod';
import { MOST_CONNECTIONS } from '../../domain/parallelism.ts';
import { throttle } from './load-signal.ts';
import { blackouts, windows } from './open-hours.ts';
import { condition, durationUpTo, lockTimeout, returnable, sql, table } from './parts.ts';

const transform = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sql'),
    set: z
      .record(z.string().min(1), sql)
      .refine((set) => Object.keys(set).length > 0, 'set at least one column')
      .describe('Column: SQL expression over the row'),
  }),
  z.strictObject({
    kind: z.literal('insert'),
    into: table.describe('Table that gets a row for each row'),
    values: z
      .record(z.string().min(1), sql)
      .refine((values) => Object.keys(values).length > 0, 'write at least one column')
      .describe('Column of `into`: SQL expression over the row'),
    identifiedBy: z
      .array(z.string().min(1))
      .min(1)
      .describe('Unique columns of `into`, written by `values`, that tell its rows apart'),
    onConflict: z
      .enum(['nothing', 'update'])
      .default('nothing')
      .describe('What becomes of a row that is there already'),
  }),
  z.strictObject({
    kind: z.literal('registered'),
    name: z.string().min(1).describe('Name under which the worker registered the transform'),
    version: z.int().min(1).describe('Version that this plan was reviewed with'),
    threads: z
      .int()
      .min(0)
      .max(16)
      .default(0)
      .describe("Threads per worker that run it; 0 runs it on the worker's own"),
  }),
]);

const onlyInWindows = z
  .boolean()
  .optional()
  .describe('The undo keeps to windows and blackouts as well; otherwise a rollback does not wait for them');

const undo = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('journal'), onlyInWindows }),
  z.strictObject({
    kind: z.literal('sql'),
    statement: sql.describe('Run over batches of migrated keys, bound as :keys'),
    onlyInWindows,
  }),
  z.strictObject({ kind: z.literal('none') }),
]);

export const backfillPhase = z.strictObject({
  kind: z.literal('backfill'),
  ...returnable,
  table,
  key: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('Unique NOT NULL columns to page by, instead of the primary key'),
  where: condition
    .optional()
    .describe(
      'Rows that the transform is for; others are left alone and not counted, by sync and verify too',
    ),
  pending: condition
    .optional()
    .describe(
      'Rows among those that still need it; the backfill leaves the others alone, sync and verify do not',
    ),
  transform,
  columns: z
    .record(z.string().min(1), z.string().min(1))
    .default({})
    .describe('SQL types of columns that an earlier phase of this plan adds, for the dry run'),
  batchSize: z
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .describe('Rows of the first batch; later ones are sized by the time they take'),
  batchDuration: durationUpTo('1m').default('250ms').describe('How long a batch should take'),
  maxBatchSize: z
    .int()
    .min(1)
    .max(100_000)
    .default(20_000)
    .describe('No batch is larger, however fast it would be'),
  parallelism: z
    .int()
    .min(1)
    .max(MOST_CONNECTIONS)
    .default(1)
    .describe('Connections that work at once, over all workers; load signals may allow fewer'),
  lockTimeout: lockTimeout
    .default('5s')
    .describe('Longest wait of a batch for a row that the application holds'),
  throttle,
  windows,
  blackouts,
  undo: undo.default({ kind: 'journal' }),
  errorBudget: z
    .strictObject({ rows: z.int().min(0).default(100), share: z.number().min(0).max(1).default(0.05) })
    .default({ rows: 100, share: 0.05 })
    .describe(
      'Failing rows that are set aside before the phase fails: by count, and as a share of the rows processed',
    ),
  redact: z
    .array(z.string().min(1))
    .default([])
    .describe('Columns whose values appear in no exception, sample or log'),
});
