import { z } from 'zod';
import { auditEntrySchema } from './audit.ts';
import { instantSchema } from './common.ts';
import { exceptionSchema } from './exceptions.ts';
import { gateMeasurementSchema } from './gates.ts';
import { migrationLogEntrySchema } from './migration-log.ts';
import { planDetailSchema } from './plans.ts';
import { phaseSchema, runSchema } from './runs.ts';

export const reportQuery = z.object({
  format: z.enum(['json', 'csv']).default('json').describe('csv holds the exceptions only'),
});

/** The whole evidence of a run. */
export const reportSchema = z
  .object({
    generatedAt: instantSchema,
    run: runSchema,
    plan: planDetailSchema,
    phases: z.array(phaseSchema),
    log: z.array(migrationLogEntrySchema),
    gates: z.array(gateMeasurementSchema),
    audit: z.array(auditEntrySchema),
    exceptions: z.array(exceptionSchema),
  })
  .meta({ id: 'Report' });
export type Report = z.output<typeof reportSchema>;
