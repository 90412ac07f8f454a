import { z } from 'zod';

export const rollbackPreviewQuery = z.object({
  kept: z
    .enum(['estimate', 'count'])
    .default('estimate')
    .describe(
      'Whether rows that would be kept are estimated from a sample, where there are many, or counted as far as half a minute goes',
    ),
});

const keptSchema = z.object({
  rows: z.number(),
  how: z.enum(['counted', 'estimated']),
  compared: z.number().describe('Rows that were compared with what their batch had left'),
});

const stepSchema = z.object({
  phase: z.string(),
  kind: z.string(),
  action: z.string().describe('In words, what undoing the phase would do'),
  statements: z.array(z.string()).describe('Statements of the plan that would be run'),
  rows: z
    .object({
      rows: z.number().describe('Rows to restore'),
      exact: z.boolean().describe('False where there are so many that they were not counted'),
      kept: keptSchema
        .nullable()
        .describe(
          "Of those, rows that would stay as they are, because they were changed since; null where the plan's statement decides",
        ),
    })
    .nullable(),
  seconds: z
    .object({ low: z.number(), high: z.number() })
    .nullable()
    .describe('How long it may take, by the speed of the backfill; null when unknown'),
});

export const rollbackPreviewSchema = z
  .object({
    runId: z.string(),
    refusedBecause: z.string().nullable().describe('Why the run cannot be rolled back now; null when it can'),
    pointOfNoReturn: z
      .object({ phase: z.string(), begun: z.boolean() })
      .nullable()
      .describe('Once this phase has begun, the run can no longer be rolled back'),
    steps: z.array(stepSchema).describe('In the order in which they would be done'),
    rows: z.number().describe('Rows to restore in all'),
  })
  .meta({ id: 'RollbackPreview' });
export type RollbackPreview = z.output<typeof rollbackPreviewSchema>;
