import { z } from 'zod';
import { LOG_ACTIONS } from '../../db/schema.ts';
import { instantSchema, pageLimit } from './common.ts';

export const migrationLogQuery = z.object({
  run: z.string().optional(),
  plan: z.string().optional(),
  action: z.enum(LOG_ACTIONS).optional(),
  before: z.coerce.number().int().optional().describe('Entries older than the one with this id'),
  limit: pageLimit(100, 10_000),
  format: z.enum(['json', 'csv']).default('json'),
});

export const migrationLogEntrySchema = z
  .object({
    id: z.int(),
    run: z.string(),
    plan: z.string(),
    target: z.string(),
    phase: z.string(),
    table: z.string(),
    action: z.enum(LOG_ACTIONS),
    processed: z.int(),
    succeeded: z.int(),
    skipped: z.int(),
    ambiguous: z.int(),
    failed: z.int(),
    errorDetails: z.array(z.unknown()),
    performedBy: z.string(),
    startedAt: instantSchema,
    finishedAt: instantSchema.nullable(),
    outcome: z.string().nullable(),
    request: z
      .string()
      .describe('The request behind a decision about rows, or an undo of single ones; else empty'),
  })
  .meta({ id: 'MigrationLogEntry' });
export type MigrationLogEntry = z.output<typeof migrationLogEntrySchema>;

export const migrationLogSchema = z.object({
  entries: z.array(migrationLogEntrySchema),
  next: z.int().nullable().describe('`before` of the next page; null on the last'),
});
export type MigrationLog = z.output<typeof migrationLogSchema>;
