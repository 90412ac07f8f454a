import { z } from 'zod';
import type { Plan } from '../domain/plan.ts';
import { backfillPhase } from './schema/backfill.ts';
import { backupPhase } from './schema/backup.ts';
import { approvalPhase, validatePhase } from './schema/checks.ts';
import { syncPhase, verifyPhase } from './schema/live-traffic.ts';
import { slug } from './schema/parts.ts';
import { rolloutPhase, soakPhase } from './schema/rollout.ts';
import { cleanupPhase, schemaPhase } from './schema/schema-change.ts';

/*
 * The plan document. Descriptions become the JSON Schema's, so they are written for the author of a plan.
 * Every object is strict: a misspelt key is a problem, not a silent default.
 */

export const phaseSchema = z.discriminatedUnion('kind', [
  schemaPhase,
  syncPhase,
  backupPhase,
  backfillPhase,
  verifyPhase,
  validatePhase,
  approvalPhase,
  rolloutPhase,
  soakPhase,
  cleanupPhase,
]);

export const planSchema = z.strictObject({
  name: slug.describe('Unique among plans'),
  description: z.string().default(''),
  target: slug.describe('Name of the configured database connection that the plan changes'),
  endpoint: slug.optional().describe('Serves the backfill under POST /functions/v1/<endpoint> as well'),
  phases: z.array(phaseSchema).min(1, 'list at least one phase').max(100),
});

/** A plan as its author writes it: defaults may be left out. */
export type PlanInput = z.input<typeof planSchema>;

/** Fails to compile when the schema and the engine's own types drift apart. */
type Same<A, B> = [A, B] extends [B, A] ? true : never;
export const schemaMatchesDomain: Same<z.output<typeof planSchema>, Plan> = true;
