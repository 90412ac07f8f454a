import { and, asc, count, desc, eq, getTableColumns, lt, sql } from 'drizzle-orm';
import type { ExceptionFilter } from '../domain/row-exception.ts';
import type { ControlDb } from './control-db.ts';
import { runExceptions, runPhases } from './schema.ts';

export type RunException = typeof runExceptions.$inferSelect;

const { runId: _, exceptionId: __, ...TOLD } = getTableColumns(runExceptions);
/** Everything but what an exception is told apart by. */
const REPLACED = Object.fromEntries(
  Object.entries(TOLD).map(([property, { name }]) => [property, sql`excluded.${sql.identifier(name)}`]),
);

/** Copies exceptions from a target as they are there now. A copy that is newer already stays. */
export async function storeExceptions(
  db: ControlDb,
  exceptions: (typeof runExceptions.$inferInsert)[],
): Promise<void> {
  // PostgreSQL takes at most 65,535 parameters per statement.
  for (let from = 0; from < exceptions.length; from += 1_000) {
    await db.query
      .insert(runExceptions)
      .values(exceptions.slice(from, from + 1_000))
      .onConflictDoUpdate({
        target: [runExceptions.runId, runExceptions.exceptionId],
        set: REPLACED,
        setWhere: lt(runExceptions.revision, sql`excluded.revision`),
      });
  }
}

/** Up to where the changes of the phase's exceptions were copied; undefined before the first copy. */
export async function exceptionsSeen(
  db: ControlDb,
  runId: string,
  phase: string,
): Promise<string | undefined> {
  const [found] = await db.query
    .select({ seen: runPhases.exceptionsSeen })
    .from(runPhases)
    .where(and(eq(runPhases.runId, runId), eq(runPhases.name, phase)));
  return found?.seen ?? undefined;
}

export async function markExceptionsSeen(
  db: ControlDb,
  runId: string,
  phase: string,
  seen: string,
): Promise<void> {
  await db.query
    .update(runPhases)
    .set({ exceptionsSeen: seen })
    .where(and(eq(runPhases.runId, runId), eq(runPhases.name, phase)));
}

export type ExceptionPage = ExceptionFilter & {
  phase?: string | undefined;
  /** The last exception of the page before. */
  after?: Pick<RunException, 'sortKey' | 'exceptionId'> | undefined;
  limit: number;
};

/** By their keys. */
export function listExceptions(db: ControlDb, runId: string, page: ExceptionPage): Promise<RunException[]> {
  return db.query
    .select()
    .from(runExceptions)
    .where(
      and(
        conditions(runId, page),
        page.after
          ? sql`(${runExceptions.sortKey}, ${runExceptions.exceptionId}) > (${page.after.sortKey}, ${page.after.exceptionId})`
          : undefined,
      ),
    )
    .orderBy(asc(runExceptions.sortKey), asc(runExceptions.exceptionId))
    .limit(page.limit);
}

export async function findException(
  db: ControlDb,
  runId: string,
  exceptionId: number,
): Promise<RunException | undefined> {
  const [found] = await db.query
    .select()
    .from(runExceptions)
    .where(and(eq(runExceptions.runId, runId), eq(runExceptions.exceptionId, exceptionId)));
  return found;
}

/** Exceptions that are alike, and how many of them there are. */
export type ExceptionGroup = Pick<RunException, 'phase' | 'kind' | 'status' | 'reason' | 'sqlstate'> & {
  exceptions: number;
  /** Those of them whose suggestion can be accepted. */
  acceptable: number;
};

/** Reasons with the number of rows that were set aside for each, the most frequent first. */
export function groupExceptions(
  db: ControlDb,
  runId: string,
  filter: Omit<ExceptionPage, 'after'>,
): Promise<ExceptionGroup[]> {
  const { phase, kind, status, reason, sqlstate } = runExceptions;
  const alike = { phase, kind, status, reason, sqlstate };
  return db.query
    .select({
      ...alike,
      exceptions: count(),
      acceptable: sql<number>`count(*) FILTER (WHERE ${runExceptions.acceptable})`.mapWith(Number),
    })
    .from(runExceptions)
    .where(conditions(runId, filter))
    .groupBy(phase, kind, status, reason, sqlstate)
    .orderBy(desc(count()), asc(phase), asc(kind), asc(reason))
    .limit(filter.limit);
}

function conditions(runId: string, filter: Omit<ExceptionPage, 'after' | 'limit'>) {
  return and(
    eq(runExceptions.runId, runId),
    filter.phase ? eq(runExceptions.phase, filter.phase) : undefined,
    filter.kind ? eq(runExceptions.kind, filter.kind) : undefined,
    filter.status ? eq(runExceptions.status, filter.status) : undefined,
    filter.reason ? eq(runExceptions.reason, filter.reason) : undefined,
    filter.reasonContains ? sql`strpos(${runExceptions.reason}, ${filter.reasonContains}) > 0` : undefined,
    filter.sqlstate ? eq(runExceptions.sqlstate, filter.sqlstate) : undefined,
  );
}

/** Every exception of a run in pages, so that memory stays flat however many there are. */
export async function* allExceptions(
  db: ControlDb,
  runId: string,
  filter: ExceptionFilter = {},
): AsyncGenerator<RunException[]> {
  const limit = 1_000;
  let after: RunException | undefined;
  for (;;) {
    const page = await listExceptions(db, runId, { ...filter, after, limit });
    if (page.length > 0) yield page;
    if (page.length < limit) return;
    after = page.at(-1);
  }
}
