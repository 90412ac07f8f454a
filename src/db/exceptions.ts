import { and, asc, eq, sql } from 'drizzle-orm';
import type { ControlDb } from './control-db.ts';
import { runExceptions } from './schema.ts';

export type RunException = typeof runExceptions.$inferSelect;

/** Copies exceptions from a target; those already copied are left alone. */
export async function storeExceptions(
  db: ControlDb,
  exceptions: Omit<RunException, 'recordedAt'>[],
): Promise<void> {
  // PostgreSQL takes at most 65,535 parameters per statement.
  for (let from = 0; from < exceptions.length; from += 1_000) {
    await db.query
      .insert(runExceptions)
      .values(exceptions.slice(from, from + 1_000))
      .onConflictDoNothing();
  }
}

export type ExceptionFilter = {
  phase?: string | undefined;
  kind?: RunException['kind'] | undefined;
  /** The last exception of the page before. */
  after?: Pick<RunException, 'key' | 'phase' | 'kind'> | undefined;
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
        filter.after
          ? sql`(${runExceptions.key}, ${runExceptions.phase}, ${runExceptions.kind}) > (${filter.after.key}, ${filter.after.phase}, ${filter.after.kind})`
          : undefined,
      ),
    )
    .orderBy(asc(runExceptions.key), asc(runExceptions.phase), asc(runExceptions.kind))
    .limit(filter.limit);
}

/** Every exception of a run in pages, so that memory stays flat however many there are. */
export async function* allExceptions(db: ControlDb, runId: string): AsyncGenerator<RunException[]> {
  const limit = 1_000;
  let after: RunException | undefined;
  for (;;) {
    const page = await listExceptions(db, runId, { after, limit });
    if (page.length > 0) yield page;
    if (page.length < limit) return;
    after = page.at(-1);
  }
}
