import type { Run } from '../../db/runs.ts';
import type { Progress } from '../../db/schema.ts';
import type { ApprovalPhase, Phase } from '../../domain/plan.ts';

/**
 * In words, what has to happen before the run goes on; null when it is at work, or final.
 * @param phase the run's present phase as its plan has it.
 * @param progress of that phase, when it is a backfill.
 */
export function waitingFor(
  run: Run,
  phase: Phase | undefined,
  progress: Progress | null | undefined,
): string | null {
  switch (run.status) {
    case 'pending':
      return 'a worker to begin the run';
    case 'paused':
      return 'a person to resume the run';
    case 'held':
      return `a person to resume (try again) or roll back: ${run.reason ?? 'a phase failed'}`;
    case 'rollback_held':
      return `a person to resume the rollback: ${run.reason ?? 'undoing a phase failed'}`;
    case 'awaiting_approval':
      return phase?.kind === 'approval' ? approvals(phase, run.startedBy) : 'an approval';
    case 'running':
      return (phase && holdOf(phase, run.timeScale)) ?? hoursOf(progress);
    case 'rolling_back':
      return hoursOf(progress);
    default:
      return null;
  }
}

function hoursOf(progress: Progress | null | undefined): string | null {
  if (!progress?.closed) return null;
  const { until, why } = progress.closed;
  return `its hours (${why}); goes on at ${until}`;
}

function approvals(phase: ApprovalPhase, startedBy: string): string {
  const who = [...phase.roles.map((role) => `role ${role}`), ...phase.people].join(', ');
  const others = phase.allowStarter ? '' : `, other than ${startedBy}, who started the run`;
  const count = phase.count === 1 ? 'an approval' : `${phase.count} approvals`;
  return `${count} of "${phase.name}" by ${who}${others}`;
}

function holdOf(phase: Phase, timeScale: number): string | null {
  const faster = timeScale === 1 ? '' : ` (${timeScale} times faster)`;
  if (phase.kind === 'soak') return `the soak of ${phase.for}${faster} to end, or advance`;
  if (phase.kind !== 'rollout') return null;
  const stages = phase.stages.map(({ percentage, hold }) => `${percentage} % for ${hold}`).join(', ');
  return `the stage under way of ${stages}${faster} to end with every gate passing, or advance`;
}
