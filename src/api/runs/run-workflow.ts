import { WorkflowFailedError } from '@temporalio/client';
import { CONTROL_QUEUE } from '../../contracts/names.ts';
import { searchAttribute } from '../../contracts/search-attributes.ts';
import type { Run } from '../../db/runs.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { ApiProblem, type ProblemKind } from '../errors/problem.ts';
import { isTemporalFault } from '../errors/recognize.ts';
import { callTemporal } from '../temporal.ts';
import { workflowFailure } from './dry-run.ts';

/** Longest wait for a worker to have done it. */
const WAIT_MS = 60_000;

export type RunWorkflow = {
  type: string;
  workflowId: string;
  input: unknown;
  /** Of the run, when it is about one. */
  phase?: string | undefined;
  summary: string;
  /** How long Temporal lets it go on. */
  timeout?: '2m' | undefined;
  /** What it is called when the workflow fails, with the beginning of a sentence that its reason ends. */
  failed: { kind: ProblemKind; detail: string };
  /** What may still come of it when nobody confirms in time. */
  unconfirmed: string;
};

/**
 * Has a worker do something about a run beside the run's own workflow, and waits for the result.
 * @throws ApiProblem when it fails, or nobody answers in time.
 */
export async function executeRunWorkflow<T>(
  { temporal }: Pick<ApiDependencies, 'temporal'>,
  { id: runId, planName, target }: Run,
  { type, workflowId, input, phase, summary, timeout, failed, unconfirmed }: RunWorkflow,
): Promise<T> {
  try {
    return await callTemporal(temporal, WAIT_MS, () =>
      temporal.workflow.execute<(input: unknown) => Promise<T>>(type, {
        workflowId,
        taskQueue: CONTROL_QUEUE,
        args: [input],
        // A call that is repeated after a fault joins the workflow that it has started.
        workflowIdConflictPolicy: 'USE_EXISTING',
        typedSearchAttributes: [
          { key: searchAttribute.run, value: runId },
          { key: searchAttribute.plan, value: planName },
          { key: searchAttribute.target, value: target },
          ...(phase === undefined ? [] : [{ key: searchAttribute.phase, value: phase }]),
        ],
        staticSummary: summary,
        ...(timeout ? { workflowExecutionTimeout: timeout } : {}),
      }),
    );
  } catch (error) {
    if (error instanceof WorkflowFailedError) {
      const detail = `${failed.detail}: ${workflowFailure(error)}`;
      throw new ApiProblem(failed.kind, detail, { runId }, { cause: error });
    }
    if (!isTemporalFault(error)) throw error;
    const detail = `Nobody confirmed within ${WAIT_MS / 1_000} s; ${unconfirmed}`;
    throw new ApiProblem('not-confirmed', detail, { runId }, { cause: error });
  }
}
