import { eq, sql } from 'drizzle-orm';
import type { ControlDb } from './control-db.ts';
import { dryRuns } from './schema.ts';

export type DryRun = typeof dryRuns.$inferSelect;

export async function openDryRun(db: ControlDb, dryRun: typeof dryRuns.$inferInsert): Promise<void> {
  await db.query.insert(dryRuns).values(dryRun).onConflictDoNothing();
}

export async function finishDryRun(
  db: ControlDb,
  id: string,
  report: Record<string, unknown>,
): Promise<void> {
  await db.query.update(dryRuns).set({ report, finishedAt: sql`now()` }).where(eq(dryRuns.id, id));
}

export async function findDryRun(db: ControlDb, id: string): Promise<DryRun | undefined> {
  const [found] = await db.query.select().from(dryRuns).where(eq(dryRuns.id, id));
  return found;
}
