import { and, desc, eq, isNull, lt, sql } from 'drizzle-orm';
import type { RowCounts } from '../domain/counts.ts';
import type { ControlDb } from './control-db.ts';
import { migrationLog } from './schema.ts';

export type MigrationLogEntry = typeof migrationLog.$inferSelect;

export type LogKey = {
  runId: string;
  phase: string;
  action: MigrationLogEntry['action'];
  /** Tells apart what can happen to a phase more than once. */
  request?: string | undefined;
};

type LogHead = { planName: string; target: string; tableName: string; performedBy: string };

/** Opens the log entry of a backfill, or finds it open already. */
export async function openLogEntry(db: ControlDb, key: LogKey, entry: LogHead): Promise<void> {
  await db.query
    .insert(migrationLog)
    .values({ ...key, ...entry })
    .onConflictDoNothing();
}

/** @param onlyIfOpen leaves an entry alone that has its outcome already. */
export async function updateLogEntry(
  db: ControlDb,
  key: LogKey,
  entry: { counts: RowCounts; errorDetails?: unknown[]; outcome?: string },
  { onlyIfOpen = false }: { onlyIfOpen?: boolean } = {},
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
        eq(migrationLog.request, key.request ?? ''),
        onlyIfOpen ? isNull(migrationLog.finishedAt) : undefined,
      ),
    );
}

/** Records what was done at once; the same request again says what it has come to. */
export async function recordLogEntry(
  db: ControlDb,
  key: LogKey,
  head: LogHead,
  entry: { counts: RowCounts; outcome: string },
): Promise<void> {
  await openLogEntry(db, key, head);
  await updateLogEntry(db, key, entry);
}

export type LogFilter = {
  runId?: string | undefined;
  plan?: string | undefined;
  action?: MigrationLogEntry['action'] | undefined;
  /** Id of the last entry of the page before. */
  before?: number | undefined;
  limit: number;
};

/** Newest first. */
export function listLog(db: ControlDb, filter: LogFilter): Promise<MigrationLogEntry[]> {
  return db.query
    .select()
    .from(migrationLog)
    .where(
      and(
        filter.runId ? eq(migrationLog.runId, filter.runId) : undefined,
        filter.plan ? eq(migrationLog.planName, filter.plan) : undefined,
        filter.action ? eq(migrationLog.action, filter.action) : undefined,
        filter.before ? lt(migrationLog.id, filter.before) : undefined,
      ),
    )
    .orderBy(desc(migrationLog.id))
    .limit(filter.limit);
}
