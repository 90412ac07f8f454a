import type { RunPhase } from '../../db/run-phases.ts';
import type { Run as RunRow } from '../../db/runs.ts';
import type { Progress as ProgressRow } from '../../db/schema.ts';
import type { Phase as PlanPhase } from '../../domain/plan.ts';
import type { Phase, Progress, Run } from '../schemas/runs.ts';

export function presentRun(run: RunRow): Run {
  return {
    id: run.id,
    plan: run.planName,
    version: run.planVersion,
    planHash: run.planHash,
    target: run.target,
    status: run.status,
    phase: run.phase,
    reason: run.reason,
    timeScale: run.timeScale,
    batchSize: run.batchSize,
    startedBy: run.startedBy,
    createdAt: run.createdAt.toISOString(),
    updatedAt: run.updatedAt.toISOString(),
    finishedAt: instant(run.finishedAt),
  };
}

/**
 * @param run the phase's; when it is not at work, what was known of its load and its end holds no more.
 * @param planned the phase as the run's plan has it.
 */
export function presentPhase(
  { status }: Pick<RunRow, 'status'>,
  phase: RunPhase,
  planned: PlanPhase | undefined,
): Phase {
  const atWork = status === 'running' || status === 'rolling_back';
  return {
    name: phase.name,
    kind: phase.kind,
    description: planned?.description ?? '',
    pointOfNoReturn: planned?.pointOfNoReturn ?? false,
    state: phase.state,
    summary: phase.summary,
    progress: phase.progress && presentProgress(phase.progress, phase.state, atWork),
    startedAt: instant(phase.startedAt),
    finishedAt: instant(phase.finishedAt),
  };
}

function presentProgress(progress: ProgressRow, state: RunPhase['state'], atWork: boolean): Progress {
  const { counts, estimatedRows, rowsPerSecond, eta, limiter, closed, signals } = progress;
  const moving = atWork && (state === 'running' || state === 'undoing');
  return {
    counts,
    estimatedRows,
    rowsPerSecond,
    share: state === 'completed' ? 1 : shareOf(progress),
    eta: (moving && eta) || null,
    limiter: (moving && limiter) || null,
    closed: (moving && closed) || null,
    signals: (moving && signals) || [],
  };
}

/** The planner's estimate can be wrong: once it is exceeded, the part done is unknown. */
function shareOf({ counts, estimatedRows }: ProgressRow): number | null {
  if (estimatedRows === null || estimatedRows <= 0 || counts.processed > estimatedRows) return null;
  return counts.processed / estimatedRows;
}

export function instant(at: Date | null): string | null {
  return at?.toISOString() ?? null;
}
