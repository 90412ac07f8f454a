import { and, desc, eq, sql } from 'drizzle-orm';
import type { RowCounts } from '../domain/counts.ts';
import type { ControlDb } from './control-db.ts';
import { migrationLog } from './schema.ts';

export type MigrationLogEntry = typeof migrationLog.$inferSelect;

export type LogKey = { runId: string; phase: string; action: MigrationLogEntry['action'] };

/** Opens the log entry of a backfill, or finds it open already. */
export async function openLogEntry(
  db: ControlDb,
  key: LogKey,
  entry: { planName: string; target: string; tableName: string; performedBy: string },
): Promise<void> {
  await db.query
    .insert(migrationLog)
    .values({ ...key, ...entry })
    .onConflictDoNothing();
}

export async function updateLogEntry(
  db: ControlDb,
  key: LogKey,
  entry: { counts: RowCounts; errorDetails?: unknown[]; outcome?: string },
): Promise<void> {
  const { processed, migrated, skipped, ambiguous, failed } = entry.counts;
  await db.query
    .update(migrationLog)
    .set({
      processed,
      succeeded: migrated,
      skipped,
      ambiguous,
      failed,
      ...(entry.errorDetails ? { errorDetails: entry.errorDetails } : {}),
      ...(entry.outcome ? { outcome: entry.outcome, finishedAt: sql`now()` } : {}),
    })
    .where(
      and(
        eq(migrationLog.runId, key.runId),
        eq(migrationLog.phase, key.phase),
        eq(migrationLog.action, key.action),
      ),
    );
}

/** Newest first; of one run or of all. */
export function listLog(
  db: ControlDb,
  options: { runId?: string; limit: number },
): Promise<MigrationLogEntry[]> {
  return db.query
    .select()
    .from(migrationLog)
    .where(options.runId === undefined ? undefined : eq(migrationLog.runId, options.runId))
    .orderBy(desc(migrationLog.id))
    .limit(options.limit);
}
