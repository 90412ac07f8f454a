import type { PhaseRef } from '../contracts/activities.ts';
import type { PhaseInput } from '../contracts/runs.ts';

/** The part of a phase's input that tells activities for whom they work. */
export function phaseRef(input: PhaseInput): PhaseRef {
  return { runId: input.runId, planName: input.planName, target: input.target, phase: input.phase.name };
}
