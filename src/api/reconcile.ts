import { WorkflowFailedError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { changeStatus, listUnfinishedRuns, type Run } from '../db/runs.ts';
import { nextStatus } from '../domain/run-state.ts';
import type { ApiDependencies } from './dependencies.ts';
import { causes } from './errors/recognize.ts';
import { planOf } from './runs/run-detail.ts';
import { startWorkflow } from './runs/start-run.ts';
import { callTemporal } from './temporal.ts';

const INTERVAL_MS = 30_000;
/** A younger pending run is still being started by the request that made it. */
const PENDING_AGE_MS = 10_000;
const LOOK_MS = 5_000;

/**
 * Brings rows and workflows together where a crash, or somebody at the Temporal server, left them apart: pending runs
 * without a workflow are started, and runs whose workflow was ended from outside become `terminated`. A workflow that ended
 * by itself has recorded its end, or is about to.
 */
export async function reconcileRuns(deps: ApiDependencies): Promise<void> {
  for (const run of await listUnfinishedRuns(deps.db)) {
    try {
      await reconcileRun(deps, run);
    } catch (error) {
      deps.logger.warn(
        { err: error, runId: run.id },
        `run ${run.id} could not be compared with its workflow`,
      );
    }
  }
}

async function reconcileRun(deps: ApiDependencies, run: Run): Promise<void> {
  if (run.status === 'pending') {
    if (Date.now() - run.createdAt.getTime() < PENDING_AGE_MS) return;
    // Does nothing when the workflow is there: the id is used once.
    await startWorkflow(deps, run, await planOf(deps, run));
  }
  const lost = await whyLost(deps, run.id);
  if (lost === undefined) return;
  const status = nextStatus(run.status, 'lose_workflow');
  if (!status) return;
  deps.logger.warn({ runId: run.id, status: run.status }, `run ${run.id}: ${lost}`);
  await changeStatus(deps.db, {
    runId: run.id,
    status,
    reason: lost,
    phase: run.phase,
    key: 'workflow-lost',
  });
}

/** In words, how the run's workflow ended from outside; undefined while it is open, or when it completed. */
async function whyLost({ temporal }: ApiDependencies, runId: string): Promise<string | undefined> {
  const handle = temporal.workflow.getHandle(runId);
  try {
    const { status } = await callTemporal(temporal, LOOK_MS, () => handle.describe());
    switch (status.name) {
      case 'TERMINATED':
      case 'CANCELLED':
      case 'FAILED':
      case 'TIMED_OUT':
        await callTemporal(temporal, LOOK_MS, () => handle.result());
        return undefined;
      default:
        return undefined;
    }
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'its workflow is gone from the Temporal server';
    if (error instanceof WorkflowFailedError) {
      const reason = causes(error).at(-1)?.message;
      return `its workflow ended from outside: ${reason ?? error.message}`;
    }
    throw error;
  }
}

/** Reconciles at once and then from time to time, one at a time. */
export function startReconciler(deps: ApiDependencies): { stop(): Promise<void> } {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let underWay: Promise<void> = Promise.resolve();
  const round = () => {
    underWay = reconcileRuns(deps)
      .catch((error) => deps.logger.warn({ err: error }, 'runs could not be compared with their workflows'))
      .finally(() => {
        if (!stopped) timer = setTimeout(round, INTERVAL_MS);
      });
  };
  round();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await underWay;
    },
  };
}
