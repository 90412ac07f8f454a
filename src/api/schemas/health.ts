import { z } from 'zod';

export const healthSchema = z.object({ status: z.literal('ok') }).meta({ id: 'Health' });

const checkSchema = z.object({ ok: z.boolean(), detail: z.string().optional() });
export const readinessSchema = z
  .object({ ready: z.boolean(), database: checkSchema, temporal: checkSchema })
  .meta({ id: 'Readiness' });
export type Readiness = z.output<typeof readinessSchema>;
