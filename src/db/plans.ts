import { and, desc, eq } from 'drizzle-orm';
import type { Plan } from '../domain/plan.ts';
import { type ControlDb, violatedConstraint } from './control-db.ts';
import { plans } from './schema.ts';

export type RegisteredPlan = typeof plans.$inferSelect;

/**
 * Stores the plan as its next version; the latest version's document again stays that version. An earlier version's document
 * becomes a new version, so that "the latest" is always what was registered last.
 * @param hash the document's hash, see `plan/hash.ts`.
 */
export async function registerPlan(
  db: ControlDb,
  plan: Plan,
  hash: string,
  registeredBy: string,
): Promise<{ plan: RegisteredPlan; created: boolean }> {
  for (;;) {
    const latest = await findPlan(db, plan.name);
    if (latest?.hash === hash) return { plan: latest, created: false };
    try {
      const [created] = await db.query
        .insert(plans)
        .values({ name: plan.name, version: (latest?.version ?? 0) + 1, hash, document: plan, registeredBy })
        .returning();
      if (created) return { plan: created, created: true };
    } catch (error) {
      // Somebody registered a version at the same moment: look again.
      if (violatedConstraint(error) === undefined) throw error;
    }
  }
}

/** A version of a plan, or its latest one. */
export async function findPlan(
  db: ControlDb,
  name: string,
  version?: number,
): Promise<RegisteredPlan | undefined> {
  const [found] = await db.query
    .select()
    .from(plans)
    .where(and(eq(plans.name, name), version === undefined ? undefined : eq(plans.version, version)))
    .orderBy(desc(plans.version))
    .limit(1);
  return found;
}

/** The latest version of every plan, by name. */
export function listPlans(db: ControlDb): Promise<RegisteredPlan[]> {
  return db.query.selectDistinctOn([plans.name]).from(plans).orderBy(plans.name, desc(plans.version));
}

/** The plan whose backfill is served under this endpoint, in its latest version. */
export async function findPlanByEndpoint(
  db: ControlDb,
  endpoint: string,
): Promise<RegisteredPlan | undefined> {
  return (await listPlans(db)).find((plan) => plan.document.endpoint === endpoint);
}
