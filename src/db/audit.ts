import { desc, eq } from 'drizzle-orm';
import type { Actor } from '../domain/approval.ts';
import type { ControlDb } from './control-db.ts';
import { auditTrail } from './schema.ts';

export type AuditEntry = typeof auditTrail.$inferSelect;

export async function audit(
  db: ControlDb,
  actor: Actor,
  entry: { action: string; subject: string; accepted: boolean; details?: Record<string, unknown> },
): Promise<void> {
  await db.query.insert(auditTrail).values({ actor: actor.name, role: actor.role, ...entry });
}

/** Newest first; of one subject (a run's id, `plan:<name>`) or of all. */
export function listAudit(
  db: ControlDb,
  options: { subject?: string | undefined; limit: number },
): Promise<AuditEntry[]> {
  return db.query
    .select()
    .from(auditTrail)
    .where(options.subject === undefined ? undefined : eq(auditTrail.subject, options.subject))
    .orderBy(desc(auditTrail.id))
    .limit(options.limit);
}
