/** What the author of a plan and of its transforms imports. */
export {
  ambiguous,
  defineTransform,
  failed,
  migrated,
  type ReadQuery,
  type RowOutcome,
  skipped,
  type Transform,
  type TransformRow,
} from './engine/transform/transform.ts';
export { definePlan } from './plan/define-plan.ts';
export type { PlanInput } from './plan/schema.ts';
