import type { DryRunInput } from '../contracts/runs.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';
import { control, long, preflight } from './activities.ts';

/** What preflight found; empty when the plan could run. The report itself shows rows and stays in the control database. */
export type DryRunOutcome = { problems: PlanProblem[] };

/** Finds out what a run would do, phase by phase; writes nothing to the target. */
export async function dryRun(input: DryRunInput): Promise<DryRunOutcome> {
  const { plan, id, performedBy, batchSize, offset, limit, sample } = input;
  const problems = await preflight(plan.target).findProblems({ plan });
  // With problems the phases could only fail, and less clearly.
  const phases = problems.length > 0 ? [] : plan.phases;
  for (const phase of phases) {
    const work = { plan, phase, dryRunId: id, performedBy, batchSize, offset, limit, sample };
    await long(plan.target, `Dry run of ${phase.name}`).dryRunPhase(work);
  }
  const names = phases.map(({ name }) => name);
  await control('Put the report together').finishDryRun({
    id,
    plan: plan.name,
    target: plan.target,
    problems,
    phases: names,
  });
  return { problems };
}
