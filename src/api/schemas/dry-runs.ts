import { z } from 'zod';
import { instantSchema, planVersion } from './common.ts';

export const dryRunBody = z
  .strictObject({
    version: planVersion.optional().describe('Version of the plan; the latest unless given'),
    batchSize: z.int().min(1).max(100_000).optional(),
    offset: z.int().min(0).optional().describe('Rows to pass over first, in key order'),
    limit: z.int().min(1).optional().describe('Rows to look at; all unless given'),
    sample: z
      .union([
        z.strictObject({ rows: z.int().min(1).max(200_000) }),
        z.strictObject({ percent: z.number().gt(0).max(100) }),
      ])
      .optional()
      .describe('Looks at random rows from all over each table instead, at most 200,000'),
    wait: z.number().min(0).max(300).default(60).describe('Seconds to wait for the report'),
  })
  .refine(({ sample, offset, limit }) => !sample || (offset === undefined && limit === undefined), {
    path: ['sample'],
    error: 'a sample comes from the whole table; leave offset and limit out',
  })
  .meta({ id: 'DryRunRequest' });
export type DryRunRequest = z.input<typeof dryRunBody>;

export const dryRunReportSchema = z
  .object({
    id: z.string(),
    report: z.record(z.string(), z.unknown()).describe('What would happen, phase by phase'),
  })
  .meta({ id: 'DryRunReport' });
export type DryRunReport = z.output<typeof dryRunReportSchema>;

export const dryRunUnderWaySchema = z
  .object({ id: z.string(), location: z.string().describe('Where the report will be') })
  .meta({ id: 'DryRunUnderWay' });
export type DryRunUnderWay = z.output<typeof dryRunUnderWaySchema>;

export const dryRunSchema = z
  .object({
    id: z.string(),
    plan: z.string(),
    version: z.int(),
    target: z.string(),
    performedBy: z.string(),
    state: z.enum(['running', 'finished']),
    createdAt: instantSchema,
    finishedAt: instantSchema.nullable(),
    report: z.record(z.string(), z.unknown()).nullable(),
  })
  .meta({ id: 'DryRun' });
export type DryRun = z.output<typeof dryRunSchema>;
