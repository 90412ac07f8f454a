import { and, eq, isNull, sql } from 'drizzle-orm';
import { storableJson } from '../domain/storable.ts';
import type { ControlDb } from './control-db.ts';
import { dryRuns } from './schema.ts';

export type DryRun = typeof dryRuns.$inferSelect;

export async function openDryRun(db: ControlDb, dryRun: typeof dryRuns.$inferInsert): Promise<void> {
  await db.query.insert(dryRuns).values(dryRun).onConflictDoNothing();
}

/** Keeps what was found about one phase until the dry run is finished. */
export async function storeDryRunPhase(
  db: ControlDb,
  id: string,
  report: { name: string } & Record<string, unknown>,
): Promise<void> {
  const entry = storableJson({ [report.name]: report });
  await db.query
    .update(dryRuns)
    .set({ phases: sql`${dryRuns.phases} || ${entry}::jsonb` })
    .where(eq(dryRuns.id, id));
}

/** Puts the report together: the head, and the stored phases in this order. */
export async function finishDryRun(
  db: ControlDb,
  id: string,
  head: Record<string, unknown>,
  phaseNames: readonly string[],
): Promise<void> {
  const dryRun = await findDryRun(db, id);
  const phases = phaseNames.flatMap((name) => dryRun?.phases[name] ?? []);
  await db.query
    .update(dryRuns)
    .set({ report: { ...head, phases }, finishedAt: sql`now()` })
    .where(eq(dryRuns.id, id));
}

export async function findDryRun(db: ControlDb, id: string): Promise<DryRun | undefined> {
  const [found] = await db.query.select().from(dryRuns).where(eq(dryRuns.id, id));
  return found;
}

/** Takes back a dry run that never started. */
export async function discardDryRun(db: ControlDb, id: string): Promise<void> {
  await db.query.delete(dryRuns).where(and(eq(dryRuns.id, id), isNull(dryRuns.finishedAt)));
}
