import { and, desc, eq, inArray, isNull, sql } from 'drizzle-orm';
import type { RowCounts } from '../domain/counts.ts';
import type { ControlDb } from './control-db.ts';
import { appendEvent } from './run-events.ts';
import { type PhaseState, type Progress, runEvents, runPhases, runs } from './schema.ts';

export type RunPhase = typeof runPhases.$inferSelect;

export function listPhases(db: ControlDb, runIds: string[]): Promise<RunPhase[]> {
  if (runIds.length === 0) return Promise.resolve([]);
  return db.query
    .select()
    .from(runPhases)
    .where(inArray(runPhases.runId, runIds))
    .orderBy(runPhases.runId, runPhases.position);
}

export async function findPhase(db: ControlDb, runId: string, name: string): Promise<RunPhase | undefined> {
  const [found] = await db.query
    .select()
    .from(runPhases)
    .where(and(eq(runPhases.runId, runId), eq(runPhases.name, name)));
  return found;
}

/** The last progress that was reported when no more than so many rows were processed. */
export async function progressBefore(
  db: ControlDb,
  runId: string,
  phase: string,
  processed: number,
): Promise<Progress | undefined> {
  const [found] = await db.query
    .select({ data: runEvents.data })
    .from(runEvents)
    .where(
      and(
        eq(runEvents.runId, runId),
        eq(runEvents.type, 'progress'),
        eq(runEvents.phase, phase),
        sql`(${runEvents.data} #>> '{counts,processed}')::bigint <= ${processed}`,
      ),
    )
    .orderBy(desc(runEvents.id))
    .limit(1);
  return found?.data as Progress | undefined;
}

/** Rows per second that the phase's progress told of, in the median; undefined when it never told of any. */
export async function medianRate(db: ControlDb, runId: string, phase: string): Promise<number | undefined> {
  const rate = sql<number | null>`(${runEvents.data} ->> 'rowsPerSecond')::float8`;
  const [found] = await db.query
    .select({ rate: sql<number | null>`percentile_cont(0.5) WITHIN GROUP (ORDER BY ${rate})` })
    .from(runEvents)
    .where(
      and(
        eq(runEvents.runId, runId),
        eq(runEvents.type, 'progress'),
        eq(runEvents.phase, phase),
        sql`${rate} > 0`,
      ),
    );
  return found?.rate ?? undefined;
}

export type PhaseChange = {
  runId: string;
  phase: string;
  state: PhaseState;
  summary: string | null;
  key: string;
};

/** The run is then in this phase, forward or backward. */
const PHASE_BEGUN: PhaseState[] = ['running', 'undoing'];
const PHASE_ENDED: PhaseState[] = ['completed', 'failed', 'undone', 'undo_failed'];

/** Moves a phase and tells the run's watchers, in one transaction. A change of a known key does nothing. */
export async function changePhase(db: ControlDb, change: PhaseChange): Promise<void> {
  await db.query.transaction(async (tx) => {
    const appended = await appendEvent(tx, {
      runId: change.runId,
      key: change.key,
      type: 'phase',
      phase: change.phase,
      message: change.summary ?? change.state.replaceAll('_', ' '),
      data: { state: change.state },
    });
    if (!appended) return;
    await tx
      .update(runPhases)
      .set({
        state: change.state,
        summary: change.summary,
        ...(change.state === 'running'
          ? { startedAt: sql`coalesce(${runPhases.startedAt}, now())`, finishedAt: null }
          : {}),
        ...(PHASE_ENDED.includes(change.state) ? { finishedAt: sql`now()` } : {}),
      })
      .where(and(eq(runPhases.runId, change.runId), eq(runPhases.name, change.phase)));
    if (PHASE_BEGUN.includes(change.state)) {
      await tx
        .update(runs)
        .set({ phase: change.phase })
        .where(and(eq(runs.id, change.runId), isNull(runs.finishedAt)));
    }
  });
}

/**
 * Shows the progress of a backfill, or of its undo, on its phase and to the run's watchers.
 * @param done what the rows were: `1200 rows restored`.
 */
export async function reportProgress(
  db: ControlDb,
  runId: string,
  phase: string,
  progress: Progress,
  done: 'processed' | 'restored' = 'processed',
): Promise<void> {
  await db.query.transaction(async (tx) => {
    await appendEvent(tx, {
      runId,
      type: 'progress',
      phase,
      message: `${progress.counts.processed} rows ${done}`,
      // What was measured is shown as it is now; what it led to has events of its own.
      data: { ...progress, signals: undefined },
    });
    await tx
      .update(runPhases)
      .set({ progress })
      .where(and(eq(runPhases.runId, runId), eq(runPhases.name, phase)));
  });
}

/** Corrects the counts of a phase by what was decided about its rows since; its rate and estimate stay. */
export async function reportCounts(
  db: ControlDb,
  runId: string,
  phase: string,
  counts: RowCounts,
): Promise<void> {
  const progress = (await findPhase(db, runId, phase))?.progress;
  if (!progress || JSON.stringify(progress.counts) === JSON.stringify(counts)) return;
  await reportProgress(db, runId, phase, { ...progress, counts });
}

/**
 * Thins a phase's events of progress, and those of load, evenly once there are more than `keep` of the kind, so that a
 * backfill of days does not fill the control database with them.
 */
export async function thinProgress(db: ControlDb, runId: string, phase: string, keep: number): Promise<void> {
  await db.query.execute(sql`
    DELETE FROM ${runEvents} USING (
      SELECT id AS event, row_number() OVER of_type AS n, count(*) OVER (PARTITION BY type) AS total
        FROM ${runEvents}
       WHERE ${runEvents.runId} = ${runId} AND ${runEvents.phase} = ${phase}
         AND ${runEvents.type} IN ('progress', 'load')
      WINDOW of_type AS (PARTITION BY type ORDER BY id)
    ) AS thinned
    WHERE ${runEvents.id} = event AND total > ${keep} AND n % ceil(total::numeric / ${keep}) <> 0`);
}
