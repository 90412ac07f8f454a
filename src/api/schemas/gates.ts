import { z } from 'zod';
import { instantSchema } from './common.ts';

export const gateMeasurementSchema = z
  .object({
    phase: z.string(),
    percentage: z.number().describe('The stage that was watched'),
    gate: z.string(),
    sequence: z.int().describe('Counts the measurements of this gate within its stage'),
    value: z.number().nullable(),
    verdict: z.string(),
    reason: z.string().describe('The value against its limit, in words'),
    at: instantSchema,
  })
  .meta({ id: 'GateMeasurement' });
export type GateMeasurement = z.output<typeof gateMeasurementSchema>;

export const gateListSchema = z.object({ measurements: z.array(gateMeasurementSchema) });
