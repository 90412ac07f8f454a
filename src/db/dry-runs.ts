import { and, eq, isNull, sql } from 'drizzle-orm';
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

/** Takes back a dry run that never started. */
export async function discardDryRun(db: ControlDb, id: string): Promise<void> {
  await db.query.delete(dryRuns).where(and(eq(dryRuns.id, id), isNull(dryRuns.finishedAt)));
}
