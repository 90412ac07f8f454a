import type { PlanInput } from './schema.ts';

/** Gives a plan written in TypeScript its types and editor help; the document itself is checked when it is loaded. */
export function definePlan(plan: PlanInput): PlanInput {
  return plan;
}
