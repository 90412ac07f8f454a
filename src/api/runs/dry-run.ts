import { randomBytes } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { CONTROL_QUEUE } from '../../contracts/names.ts';
import type { DryRunInput } from '../../contracts/runs.ts';
import { searchAttribute } from '../../contracts/search-attributes.ts';
import { DRY_RUN_WORKFLOW } from '../../contracts/workflow-types.ts';
import { audit } from '../../db/audit.ts';
import { discardDryRun, findDryRun, openDryRun } from '../../db/dry-runs.ts';
import type { RegisteredPlan } from '../../db/plans.ts';
import type { Actor } from '../../domain/approval.ts';
import type { PlanProblem } from '../../domain/plan-problem.ts';
import { PlanRefused } from '../../plan/parse.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { ApiProblem } from '../errors/problem.ts';
import { causes, isTemporalFault, temporalRefusal } from '../errors/recognize.ts';
import { assertTemporalAnswers, callTemporal } from '../temporal.ts';
import { targetProblems } from './target.ts';

const START_MS = 10_000;

export type DryRunWindow = Pick<DryRunInput, 'batchSize' | 'offset' | 'limit' | 'sample'>;

/** A dry run's report, as far as the API looks into it. */
export type DryRunResult = {
  phases: { name: string; kind: string; summary: string; details: Record<string, unknown> }[];
};

/**
 * Starts a dry run.
 * @returns its id.
 * @throws PlanRefused when the plan's target is not configured, ApiProblem when Temporal doesn't take it on.
 */
export async function startDryRun(
  deps: ApiDependencies,
  actor: Actor,
  plan: RegisteredPlan,
  window: DryRunWindow,
): Promise<string> {
  const { db, temporal } = deps;
  const { target } = plan.document;
  const problems = targetProblems(deps.targets, target);
  if (problems.length > 0) throw new PlanRefused(problems);
  await assertTemporalAnswers(temporal, 'no dry run was started');

  const id = `dry-run-${plan.name}-${randomBytes(4).toString('hex')}`;
  const input: DryRunInput = { id, plan: plan.document, performedBy: actor, ...window };
  await openDryRun(db, {
    id,
    planName: plan.name,
    planVersion: plan.version,
    target,
    performedBy: actor.name,
  });
  try {
    await callTemporal(temporal, START_MS, () =>
      temporal.workflow.start(DRY_RUN_WORKFLOW, {
        workflowId: id,
        taskQueue: CONTROL_QUEUE,
        args: [input],
        typedSearchAttributes: [
          { key: searchAttribute.plan, value: plan.name },
          { key: searchAttribute.target, value: target },
        ],
        staticSummary: `dry run of ${plan.name} v${plan.version} on ${target}`,
      }),
    );
  } catch (error) {
    // A dry run that may be under way keeps its row, so that its report can be found.
    if (temporalRefusal(error) !== undefined) await discardDryRun(db, id);
    throw error;
  }
  const details = { version: plan.version, id, ...window };
  await audit(db, actor, { action: 'dry-run', subject: `plan:${plan.name}`, accepted: true, details });
  return id;
}

/**
 * Waits for a dry run's report.
 * @returns undefined when it takes longer.
 * @throws ApiProblem when it failed, or found problems that would stop the plan.
 */
export async function awaitDryRun(
  { db, temporal }: ApiDependencies,
  id: string,
  waitMs: number,
): Promise<DryRunResult | undefined> {
  try {
    const { problems }: { problems: PlanProblem[] } = await callTemporal(temporal, waitMs, () =>
      temporal.workflow.getHandle(id).result(),
    );
    if (problems.length === 0) return (await findDryRun(db, id))?.report as DryRunResult | undefined;
    const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
    throw new ApiProblem('dry-run-failed', `The plan cannot run on its target: preflight found ${count}.`, {
      problems,
    });
  } catch (error) {
    if (error instanceof WorkflowFailedError) throw dryRunFailed(error);
    // Time is up, or Temporal is away for a while; the dry run goes on all the same.
    if (isTemporalFault(error) && temporalRefusal(error) === undefined) return undefined;
    throw error;
  }
}

export function dryRunFailed(error: WorkflowFailedError): ApiProblem {
  return new ApiProblem(
    'dry-run-failed',
    `The dry run failed: ${workflowFailure(error)}`,
    {},
    { cause: error },
  );
}

/** The innermost failure says what really happened; those around it name the activity and the workflow. */
export function workflowFailure(error: WorkflowFailedError): string {
  const failures = causes(error).filter((cause) => cause instanceof ApplicationFailure);
  return failures.at(-1)?.message ?? causes(error).at(-1)?.message ?? error.message;
}
