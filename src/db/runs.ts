import { and, count, desc, eq, isNull, notInArray, sql } from 'drizzle-orm';
import type { Phase } from '../domain/plan.ts';
import { FINAL_STATUSES, isFinal, type RunStatus } from '../domain/run-state.ts';
import { storableText } from '../domain/storable.ts';
import { type ControlDb, violatedConstraint } from './control-db.ts';
import { appendEvent, lockEvents } from './run-events.ts';
import { runPhases, runs } from './schema.ts';

export type Run = typeof runs.$inferSelect;
export type NewRun = Omit<typeof runs.$inferInsert, 'status'>;

/** Another run of the same plan is under way on the same target. */
export class ActiveRunExists extends Error {
  readonly runId: string;

  constructor(runId: string) {
    super(`run ${runId} of this plan is under way on this target`);
    this.name = 'ActiveRunExists';
    this.runId = runId;
  }
}

/** Unique indexes by which another run than the wanted one is the answer. */
const RETURNS_ANOTHER_RUN = ['runs_idempotency_key', 'runs_one_active_per_plan_and_target'];

/**
 * Records a run as `pending`, with its phases. The same idempotency key again returns the run that it made.
 * @throws ActiveRunExists when the plan already runs on the target.
 */
export async function createRun(
  db: ControlDb,
  run: NewRun,
  phases: Pick<Phase, 'name' | 'kind'>[],
): Promise<{ run: Run; created: boolean }> {
  try {
    const created = await db.query.transaction(async (tx) => {
      const [row] = await tx
        .insert(runs)
        .values({ ...run, status: 'pending' })
        .returning();
      await tx.insert(runPhases).values(
        phases.map(({ name, kind }, position) => ({
          runId: run.id,
          position,
          name,
          kind,
          state: 'pending' as const,
        })),
      );
      return row;
    });
    if (!created) throw new Error(`run ${run.id} was not recorded`);
    return { run: created, created: true };
  } catch (error) {
    if (!RETURNS_ANOTHER_RUN.includes(violatedConstraint(error) ?? '')) throw error;
    const same = run.idempotencyKey ? await findByIdempotencyKey(db, run.idempotencyKey) : undefined;
    if (same) return { run: same, created: false };
    const active = await findActiveRun(db, run.planName, run.target);
    if (active) throw new ActiveRunExists(active.id);
    // It ended in the very moment between the two statements.
    return createRun(db, run, phases);
  }
}

/** Takes back a run that never started, so that a failed start leaves nothing behind. */
export async function discardPendingRun(db: ControlDb, runId: string): Promise<void> {
  await db.query.transaction(async (tx) => {
    const [pending] = await tx
      .select()
      .from(runs)
      .where(and(eq(runs.id, runId), eq(runs.status, 'pending')))
      .for('update');
    if (!pending) return;
    await tx.delete(runPhases).where(eq(runPhases.runId, runId));
    await tx.delete(runs).where(eq(runs.id, runId));
  });
}

export async function findRun(db: ControlDb, runId: string): Promise<Run | undefined> {
  const [found] = await db.query.select().from(runs).where(eq(runs.id, runId));
  return found;
}

export async function findActiveRun(
  db: ControlDb,
  planName: string,
  target: string,
): Promise<Run | undefined> {
  const [found] = await db.query
    .select()
    .from(runs)
    .where(and(eq(runs.planName, planName), eq(runs.target, target), isNull(runs.finishedAt)));
  return found;
}

export async function findByIdempotencyKey(db: ControlDb, key: string): Promise<Run | undefined> {
  const [found] = await db.query.select().from(runs).where(eq(runs.idempotencyKey, key));
  return found;
}

export type RunFilter = {
  plan?: string | undefined;
  status?: RunStatus | undefined;
  limit: number;
  /** Id of the last run of the page before. */
  before?: string | undefined;
};

/** Newest first. */
export function listRuns(db: ControlDb, filter: RunFilter): Promise<Run[]> {
  return db.query
    .select()
    .from(runs)
    .where(
      and(
        filter.plan ? eq(runs.planName, filter.plan) : undefined,
        filter.status ? eq(runs.status, filter.status) : undefined,
        filter.before
          ? sql`(${runs.createdAt}, ${runs.id}) < (SELECT created_at, id FROM ${runs} AS page WHERE id = ${storableText(filter.before)})`
          : undefined,
      ),
    )
    .orderBy(desc(runs.createdAt), desc(runs.id))
    .limit(filter.limit);
}

/** Runs that are not final, for checking them against Temporal. */
export function listUnfinishedRuns(db: ControlDb): Promise<Run[]> {
  return db.query
    .select()
    .from(runs)
    .where(notInArray(runs.status, [...FINAL_STATUSES]));
}

export type StatusChange = {
  runId: string;
  status: RunStatus;
  reason: string | null;
  phase: string | null;
  /** Makes a retried change the same change. */
  key: string;
};

/**
 * Moves the run and tells its watchers, in one transaction. A final status stays, and a change of a known key does nothing:
 * an attempt that comes late cannot put an old status back.
 */
export async function changeStatus(db: ControlDb, change: StatusChange): Promise<void> {
  await db.query.transaction(async (tx) => {
    await lockEvents(tx, change.runId);
    const [unfinished] = await tx
      .select({ id: runs.id })
      .from(runs)
      .where(and(eq(runs.id, change.runId), isNull(runs.finishedAt)))
      .for('update');
    if (!unfinished) return;
    const appended = await appendEvent(tx, {
      runId: change.runId,
      key: change.key,
      type: 'run',
      phase: change.phase,
      message: change.reason ?? change.status.replaceAll('_', ' '),
      data: { status: change.status },
    });
    if (!appended) return;
    await tx
      .update(runs)
      .set({
        status: change.status,
        reason: change.reason,
        phase: change.phase,
        updatedAt: sql`now()`,
        ...(isFinal(change.status) ? { finishedAt: sql`now()` } : {}),
      })
      .where(eq(runs.id, change.runId));
  });
}

/** The plan's newest run on the target, whatever became of it. */
export async function findLatestRun(
  db: ControlDb,
  planName: string,
  target: string,
): Promise<Run | undefined> {
  const [found] = await db.query
    .select()
    .from(runs)
    .where(and(eq(runs.planName, planName), eq(runs.target, target)))
    .orderBy(desc(runs.createdAt), desc(runs.id))
    .limit(1);
  return found;
}

/** How many runs there are of each status. */
export async function countRunsByStatus(db: ControlDb): Promise<{ status: RunStatus; runs: number }[]> {
  return db.query.select({ status: runs.status, runs: count() }).from(runs).groupBy(runs.status);
}
