import { z } from 'zod';
import { runStatusSchema } from './runs.ts';

export const functionParams = z.object({ endpoint: z.string().min(1).max(63) });

export const functionBody = z
  .strictObject({
    dryRun: z.boolean().default(true).describe('Nothing is written unless this is false'),
    batchSize: z.int().min(1).max(100_000).default(100),
    offset: z.int().min(0).default(0).describe('The `nextOffset` of the call before'),
  })
  .meta({ id: 'FunctionRequest' });
export type FunctionRequest = z.input<typeof functionBody>;

const found = {
  success: z.literal(true),
  processed: z.int(),
  migrated: z.int(),
  nextOffset: z.int().describe('`offset` of the next call'),
  hasMore: z.boolean(),
};
const rowNote = z.looseObject({ key: z.unknown(), reason: z.string() });

export const functionDryRunSchema = z
  .object({
    ...found,
    dryRun: z.literal(true),
    skipped: z.int(),
    ambiguous: z.array(rowNote),
    errors: z.array(rowNote),
    samples: z.array(z.unknown()).describe('Rows before and after'),
  })
  .meta({ id: 'FunctionDryRun' });
export type FunctionDryRun = z.output<typeof functionDryRunSchema>;

export const functionRunSchema = z
  .object({
    ...found,
    dryRun: z.literal(false),
    runId: z.string(),
    state: runStatusSchema,
    skipped: z.int(),
    ambiguous: z.array(rowNote),
    errors: z.array(rowNote),
  })
  .meta({ id: 'FunctionRun' });
export type FunctionRun = z.output<typeof functionRunSchema>;
