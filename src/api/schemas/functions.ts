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

const counted = {
  success: z.literal(true),
  processed: z.int(),
  migrated: z.int(),
  skipped: z.int(),
  nextOffset: z.int().describe('`offset` of the next call'),
  hasMore: z.boolean().describe('Call again with `nextOffset`'),
};
const setAside = z.looseObject({ key: z.array(z.string()), reason: z.string() });

export const functionDryRunSchema = z
  .object({
    ...counted,
    dryRun: z.literal(true),
    ambiguous: z.array(setAside),
    errors: z.array(setAside),
    samples: z.array(z.unknown()).describe('Rows before and after'),
  })
  .meta({ id: 'FunctionDryRun' });
export type FunctionDryRun = z.output<typeof functionDryRunSchema>;

export const functionRunSchema = z
  .object({
    ...counted,
    dryRun: z.literal(false),
    runId: z.string(),
    state: runStatusSchema,
    ambiguous: z.array(setAside).describe('All of the run, with the last call; empty before'),
    errors: z.array(setAside).describe('All of the run, with the last call; empty before'),
  })
  .meta({ id: 'FunctionRun' });
export type FunctionRun = z.output<typeof functionRunSchema>;
