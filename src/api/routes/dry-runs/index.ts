import { WorkflowFailedError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { type DryRun as DryRunRow, findDryRun } from '../../../db/dry-runs.ts';
import { findPlan } from '../../../db/plans.ts';
import { ApiProblem, unknownPlan } from '../../errors/problem.ts';
import { instant } from '../../present/run.ts';
import { awaitDryRun, dryRunFailed, startDryRun } from '../../runs/dry-run.ts';
import { runIdParams } from '../../schemas/common.ts';
import {
  type DryRun,
  dryRunBody,
  dryRunReportSchema,
  dryRunSchema,
  dryRunUnderWaySchema,
} from '../../schemas/dry-runs.ts';
import { planNameParams } from '../../schemas/plans.ts';
import type { Routes } from '../../server.ts';
import { callTemporal } from '../../temporal.ts';

const tags = ['dry runs'];
const DEFAULT_WAIT_S = 60;
/** Longest wait to learn whether a dry run without a report has failed. */
const LOOK_MS = 1_000;

export const dryRunRoutes: Routes = (deps) => async (app) => {
  app.post(
    '/api/plans/:name/dry-run',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Tell what a run would do',
        description: 'Writes nothing to the target. Answers 202 when the report takes longer than `wait`.',
        params: planNameParams,
        body: dryRunBody.nullish(),
        response: { 200: dryRunReportSchema, 202: dryRunUnderWaySchema },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const { version, wait = DEFAULT_WAIT_S, ...window } = request.body ?? {};
      const plan = await findPlan(deps.db, name, version);
      if (!plan) throw unknownPlan(name, version);
      const id = await startDryRun(deps, request.actor, plan, window);
      const report = wait > 0 ? await awaitDryRun(deps, id, wait * 1_000) : undefined;
      if (report) return { id, report };
      const location = `/api/dry-runs/${id}`;
      return reply.code(202).header('location', location).send({ id, location });
    },
  );

  app.get(
    '/api/dry-runs/:id',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'A dry run and, once it is finished, its report',
        params: runIdParams,
        response: { 200: dryRunSchema },
      },
    },
    async (request) => {
      const { id } = request.params;
      const dryRun = await findDryRun(deps.db, id);
      if (!dryRun) {
        throw new ApiProblem(
          'not-found',
          `There is no dry run "${id}"; POST /api/plans/:name/dry-run makes one.`,
        );
      }
      if (!dryRun.report) await throwIfFailed(id);
      return presentDryRun(dryRun);
    },
  );

  /** A failed dry run leaves no report; its workflow knows why. */
  async function throwIfFailed(id: string): Promise<void> {
    const { temporal } = deps;
    const handle = temporal.workflow.getHandle(id);
    try {
      const { status } = await callTemporal(temporal, LOOK_MS, () => handle.describe());
      if (status.name === 'RUNNING' || status.name === 'COMPLETED') return;
      await callTemporal(temporal, LOOK_MS, () => handle.result());
    } catch (error) {
      if (error instanceof WorkflowFailedError) throw dryRunFailed(error);
      if (error instanceof WorkflowNotFoundError) {
        throw new ApiProblem(
          'dry-run-failed',
          'The dry run never started, or ended without a report; start another.',
        );
      }
      // Temporal is away: that nothing is known yet is still a true answer.
    }
  }
};

function presentDryRun(dryRun: DryRunRow): DryRun {
  const { id, planName, planVersion, target, performedBy, createdAt, finishedAt, report } = dryRun;
  return {
    id,
    plan: planName,
    version: planVersion,
    target,
    performedBy,
    state: report ? 'finished' : 'running',
    createdAt: createdAt.toISOString(),
    finishedAt: instant(finishedAt),
    report,
  };
}
