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

/** @param planned the phase as the run's plan has it. */
export function presentPhase(phase: RunPhase, planned: PlanPhase | undefined): Phase {
  return {
    name: phase.name,
    kind: phase.kind,
    description: planned?.description ?? '',
    pointOfNoReturn: planned?.pointOfNoReturn ?? false,
    state: phase.state,
    summary: phase.summary,
    progress: phase.progress && presentProgress(phase.progress, phase.state),
    startedAt: instant(phase.startedAt),
    finishedAt: instant(phase.finishedAt),
  };
}

/** The planner's estimate can be wrong: once it is exceeded, the part done and the time to go are unknown. */
function presentProgress(progress: ProgressRow, state: RunPhase['state']): Progress {
  const { counts, estimatedRows, rowsPerSecond } = progress;
  const shown = { counts, estimatedRows, rowsPerSecond };
  if (state === 'completed') return { ...shown, share: 1, etaSeconds: 0 };
  if (estimatedRows === null || estimatedRows <= 0 || counts.processed > estimatedRows) {
    return { ...shown, share: null, etaSeconds: null };
  }
  const moving = state === 'running' && rowsPerSecond > 0;
  return {
    ...shown,
    share: counts.processed / estimatedRows,
    etaSeconds: moving ? Math.ceil((estimatedRows - counts.processed) / rowsPerSecond) : null,
  };
}

export function instant(at: Date | null): string | null {
  return at?.toISOString() ?? null;
}
