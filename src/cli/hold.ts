import type { Phase } from '../api/schemas/runs.ts';
import { scaledMs } from '../domain/duration.ts';
import type { RunView } from './run-view.ts';

/** How far the present hold of a rollout or a soak is. A pause is not reckoned with: its clock is the workflow's. */
export type Hold = {
  /** Part of the whole phase that is over, 0 to 1. */
  share: number;
  /** Milliseconds until the present stage or the soak may end. */
  leftMs: number;
};

/** Undefined for phases that hold nothing, and while the flag's setting is not known. */
export function holdOf(phase: Pick<Phase, 'name'>, view: RunView, now: number): Hold | undefined {
  const planned = view.plan?.phases.find(({ name }) => name === phase.name);
  const { flag, run } = view;
  if (!planned || !flag) return undefined;
  const elapsed = Math.max(0, now - flag.since);
  if (planned.kind === 'soak') {
    const whole = scaledMs(planned.for, run.timeScale);
    return { share: Math.min(1, elapsed / whole), leftMs: whole - elapsed };
  }
  if (planned.kind !== 'rollout') return undefined;
  const holds = planned.stages.map(({ hold }) => scaledMs(hold, run.timeScale));
  const at = planned.stages.findIndex(({ percentage }) => percentage === flag.percentage);
  const present = holds[at];
  if (present === undefined) return undefined;
  const before = holds.slice(0, at).reduce((sum, hold) => sum + hold, 0);
  const whole = holds.reduce((sum, hold) => sum + hold, 0);
  return { share: (before + Math.min(elapsed, present)) / whole, leftMs: present - elapsed };
}
