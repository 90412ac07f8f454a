import { randomBytes } from 'node:crypto';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { CONTROL_QUEUE } from '../../contracts/names.ts';
import type { MigrationInput } from '../../contracts/runs.ts';
import { searchAttribute } from '../../contracts/search-attributes.ts';
import { MIGRATION_WORKFLOW } from '../../contracts/workflow-types.ts';
import { audit } from '../../db/audit.ts';
import { findPlan, type RegisteredPlan } from '../../db/plans.ts';
import {
  ActiveRunExists,
  createRun,
  discardPendingRun,
  findByIdempotencyKey,
  type Run,
} from '../../db/runs.ts';
import type { Actor } from '../../domain/approval.ts';
import type { Plan } from '../../domain/plan.ts';
import { PlanRefused } from '../../plan/parse.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { ApiProblem, unknownPlan } from '../errors/problem.ts';
import { temporalRefusal } from '../errors/recognize.ts';
import { temporalProblem } from '../errors/temporal-problem.ts';
import { assertTemporalAnswers, callTemporal } from '../temporal.ts';
import { targetProblems } from './target.ts';

/** Longest wait for Temporal to take a workflow on. */
const START_MS = 10_000;

export type StartRequest = {
  plan: string;
  version?: number | undefined;
  timeScale: number;
  batchSize?: number | undefined;
  idempotencyKey?: string | undefined;
};

/**
 * Starts a run; the same idempotency key again returns the run that it made.
 *
 * The run's row comes first and its workflow second, under the row's id: a crash in between leaves a pending row, which
 * `reconcileRuns` starts. So no workflow is ever without its row, and none is started twice.
 * @throws ApiProblem when the plan is unknown or runs already, or Temporal doesn't take it on.
 */
export async function startRun(
  deps: ApiDependencies,
  actor: Actor,
  request: StartRequest,
): Promise<{ run: Run; created: boolean }> {
  const subject = `plan:${request.plan}`;
  try {
    const started = await start(deps, actor, request);
    if (started.created) {
      await audit(deps.db, actor, {
        action: 'start',
        subject: started.run.id,
        accepted: true,
        details: request,
      });
    }
    return started;
  } catch (error) {
    if (error instanceof ApiProblem) {
      const details = { ...request, why: error.message };
      await audit(deps.db, actor, { action: 'start', subject, accepted: false, details });
    }
    throw error;
  }
}

async function start(
  deps: ApiDependencies,
  actor: Actor,
  request: StartRequest,
): Promise<{ run: Run; created: boolean }> {
  const { db, temporal } = deps;
  const known = request.idempotencyKey ? await findByIdempotencyKey(db, request.idempotencyKey) : undefined;
  if (known && known.status !== 'pending') return { run: sameRequest(known, request), created: false };

  const plan = await findPlan(db, request.plan, request.version);
  if (!plan) throw unknownPlan(request.plan, request.version);
  const problems = targetProblems(deps.targets, plan.document.target);
  if (problems.length > 0) throw new PlanRefused(problems);
  await assertTemporalAnswers(temporal, 'nothing was started');

  const { run, created } = await recordRun(deps, actor, request, plan);
  // A pending run may be one whose first attempt crashed; starting it again does nothing when it didn't.
  if (run.status === 'pending') await startWorkflow(deps, run, plan);
  return { run: sameRequest(run, request), created };
}

async function recordRun(
  { db }: ApiDependencies,
  actor: Actor,
  request: StartRequest,
  plan: RegisteredPlan,
): Promise<{ run: Run; created: boolean }> {
  try {
    return await createRun(
      db,
      {
        id: `${plan.name}-${randomBytes(4).toString('hex')}`,
        planName: plan.name,
        planVersion: plan.version,
        planHash: plan.hash,
        target: plan.document.target,
        timeScale: request.timeScale,
        batchSize: request.batchSize ?? null,
        startedBy: actor.name,
        starterRole: actor.role,
        idempotencyKey: request.idempotencyKey ?? null,
      },
      plan.document.phases,
    );
  } catch (error) {
    if (!(error instanceof ActiveRunExists)) throw error;
    throw new ApiProblem(
      'active-run-exists',
      `Run ${error.runId} of plan "${plan.name}" is under way on target "${plan.document.target}"; follow it at /api/runs/${error.runId}, or roll it back first.`,
      { runId: error.runId },
    );
  }
}

function sameRequest(run: Run, request: StartRequest): Run {
  const { version = run.planVersion, batchSize = null } = request;
  const samePlan = run.planName === request.plan && run.planVersion === version;
  // The database keeps the time scale with the precision of a `real`.
  const sameScale = Math.fround(run.timeScale) === Math.fround(request.timeScale);
  if (samePlan && sameScale && run.batchSize === batchSize) return run;
  throw new ApiProblem(
    'idempotency-key-reused',
    `This Idempotency-Key started run ${run.id} of plan "${run.planName}", version ${run.planVersion}, with time scale ${run.timeScale} and batch size ${run.batchSize ?? 'of the plan'}; use a new key for another run.`,
    { runId: run.id },
  );
}

/**
 * Starts the run's workflow, once and never again under the same id.
 * @throws ApiProblem when Temporal refuses, which takes the run's row back, or when it doesn't confirm, which leaves the row
 * pending: the workflow may exist, so the row may not go.
 */
export async function startWorkflow(deps: ApiDependencies, run: Run, plan: RegisteredPlan): Promise<void> {
  const { db, temporal } = deps;
  try {
    await callTemporal(temporal, START_MS, () =>
      temporal.workflow.start(MIGRATION_WORKFLOW, workflowOptions(run, plan)),
    );
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return;
    if (temporalRefusal(error) === undefined) {
      throw new ApiProblem(
        'not-confirmed',
        `Temporal did not confirm the start of run ${run.id}; the run is recorded and is started as soon as Temporal answers. See /api/runs/${run.id}.`,
        { runId: run.id },
        { cause: error },
      );
    }
    await discardPendingRun(db, run.id);
    throw temporalProblem(error, 'nothing was started');
  }
}

function workflowOptions(run: Run, { document, version, hash }: RegisteredPlan) {
  const input: MigrationInput = {
    runId: run.id,
    plan: withBatchSize(document, run.batchSize),
    planVersion: version,
    planHash: hash,
    startedBy: { name: run.startedBy, role: run.starterRole },
    timeScale: run.timeScale,
  };
  return {
    workflowId: run.id,
    taskQueue: CONTROL_QUEUE,
    args: [input],
    workflowIdReusePolicy: 'REJECT_DUPLICATE' as const,
    typedSearchAttributes: [
      { key: searchAttribute.plan, value: run.planName },
      { key: searchAttribute.target, value: run.target },
      { key: searchAttribute.run, value: run.id },
      { key: searchAttribute.status, value: run.status },
    ],
    staticSummary: shorten(`${run.planName} v${version} on ${run.target}`, 400),
    staticDetails: shorten(describePlan(document, run), 20_000),
  };
}

/** The plan with the run's batch size in place of its backfills' own. */
function withBatchSize(plan: Plan, batchSize: number | null): Plan {
  if (batchSize === null) return plan;
  const phases = plan.phases.map((phase) => (phase.kind === 'backfill' ? { ...phase, batchSize } : phase));
  return { ...plan, phases };
}

/** Markdown, for the Temporal Web UI. */
function describePlan(plan: Plan, run: Run): string {
  const phases = plan.phases.map(
    ({ name, kind, description }, index) =>
      `${index + 1}. **${name}** (${kind})${description ? `: ${description}` : ''}`,
  );
  return [
    plan.description,
    '',
    `Plan ${run.planName}, version ${run.planVersion}, hash ${run.planHash}; started by ${run.startedBy}.`,
    '',
    ...phases,
  ].join('\n');
}

/** The server counts bytes. */
function shorten(text: string, bytes: number): string {
  const buffer = Buffer.from(text);
  if (buffer.length <= bytes) return text;
  // Cutting inside a character leaves a replacement character, which is up to two bytes longer.
  return buffer.subarray(0, bytes - 8).toString();
}
