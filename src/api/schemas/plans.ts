import { z } from 'zod';
import type { Plan } from '../../domain/plan.ts';
import { instantSchema, planVersion } from './common.ts';

export const planNameParams = z.object({ name: z.string().min(1).max(63) });
export const planVersionQuery = z.object({
  version: z.coerce.number().pipe(planVersion).optional().describe('The latest unless given'),
});

/**
 * Checked by `parsePlan` and not here, so that a refused plan gets the same answers over HTTP as from `cutover plan lint`.
 */
export const planDocumentBody = z
  .unknown()
  .describe('A plan document; its JSON Schema is at GET /api/plans/schema');

export const registeredPlanSchema = z
  .object({ name: z.string(), version: z.int(), hash: z.string() })
  .meta({ id: 'RegisteredPlan' });
export type RegisteredPlan = z.output<typeof registeredPlanSchema>;

export const planSummarySchema = registeredPlanSchema
  .extend({
    description: z.string(),
    target: z.string(),
    endpoint: z.string().nullable(),
    phases: z.array(z.object({ name: z.string(), kind: z.string() })),
    registeredBy: z.string(),
    registeredAt: instantSchema,
  })
  .meta({ id: 'PlanSummary' });
export type PlanSummary = z.output<typeof planSummarySchema>;

export const planListSchema = z.object({ plans: z.array(planSummarySchema) });
export type PlanList = z.output<typeof planListSchema>;

export const planDetailSchema = registeredPlanSchema
  .extend({
    registeredBy: z.string(),
    registeredAt: instantSchema,
    document: z.custom<Plan>().meta({ description: 'The plan with its defaults filled in' }),
  })
  .meta({ id: 'Plan' });
export type PlanDetail = z.output<typeof planDetailSchema>;
