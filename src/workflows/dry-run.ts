import type { DryRunPhaseReport } from '../contracts/activities.ts';
import type { DryRunInput } from '../contracts/runs.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';
import { control, long, preflight } from './activities.ts';

export type DryRunReport = {
  plan: string;
  target: string;
  /** What preflight found; empty when the plan could run. */
  problems: PlanProblem[];
  phases: DryRunPhaseReport[];
};

/** Tells what a run would do, phase by phase; writes nothing to the target. */
export async function dryRun(input: DryRunInput): Promise<DryRunReport> {
  const { plan, id, performedBy, batchSize, offset, limit } = input;
  const problems = await preflight(plan.target).findProblems({ plan });
  const phases: DryRunPhaseReport[] = [];
  // With problems the phases could only fail, and less clearly.
  for (const phase of problems.length > 0 ? [] : plan.phases) {
    const work = { plan, phase, dryRunId: id, performedBy, batchSize, offset, limit };
    phases.push(await long(plan.target, `Dry run of ${phase.name}`).dryRunPhase(work));
  }
  const report = { plan: plan.name, target: plan.target, problems, phases };
  await control.finishDryRun({ id, report });
  return report;
}
