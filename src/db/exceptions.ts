import { and, asc, eq, gt } from 'drizzle-orm';
import type { ControlDb } from './control-db.ts';
import { runExceptions } from './schema.ts';

export type RunException = typeof runExceptions.$inferSelect;

/** Copies exceptions from a target; those already copied are left alone. */
export async function storeExceptions(
  db: ControlDb,
  exceptions: Omit<RunException, 'recordedAt'>[],
): Promise<void> {
  if (exceptions.length > 0) await db.query.insert(runExceptions).values(exceptions).onConflictDoNothing();
}

export type ExceptionFilter = {
  phase?: string | undefined;
  kind?: RunException['kind'] | undefined;
  /** Key of the last exception of the page before. */
  after?: string | undefined;
  limit: number;
};

export function listExceptions(
  db: ControlDb,
  runId: string,
  filter: ExceptionFilter,
): Promise<RunException[]> {
  return db.query
    .select()
    .from(runExceptions)
    .where(
      and(
        eq(runExceptions.runId, runId),
        filter.phase ? eq(runExceptions.phase, filter.phase) : undefined,
        filter.kind ? eq(runExceptions.kind, filter.kind) : undefined,
        filter.after ? gt(runExceptions.key, filter.after) : undefined,
      ),
    )
    .orderBy(asc(runExceptions.key), asc(runExceptions.phase), asc(runExceptions.kind))
    .limit(filter.limit);
}
