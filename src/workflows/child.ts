import {
  CancellationScope,
  ChildWorkflowCancellationType,
  type ChildWorkflowHandle,
  type ChildWorkflowOptions,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  type Workflow,
} from '@temporalio/workflow';
import { CONTROL_QUEUE } from '../contracts/names.ts';
import type { PhaseInput } from '../contracts/runs.ts';
import { searchAttribute } from '../contracts/search-attributes.ts';
import { shorten } from './activities.ts';

/**
 * Options that all of a run's child workflows share. WAIT_CANCELLATION_COMPLETED, so that an undo begins only when the work
 * has really stopped; REQUEST_CANCEL, so that a parent that is terminated does not leave the work going.
 */
export function childOptions(
  input: Pick<PhaseInput, 'runId' | 'planName' | 'target' | 'phase'>,
  summary: string,
) {
  return {
    taskQueue: CONTROL_QUEUE,
    cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    staticSummary: shorten(summary),
    typedSearchAttributes: [
      { key: searchAttribute.run, value: input.runId },
      { key: searchAttribute.plan, value: input.planName },
      { key: searchAttribute.target, value: input.target },
      { key: searchAttribute.phase, value: input.phase.name },
    ],
  } satisfies Partial<ChildWorkflowOptions>;
}

/**
 * Has a child cancelled with the present scope also when it has continued as new by then. The SDK asks the run of the child
 * that it has started itself; once that one is over, the server takes the request for granted, and the child goes on.
 */
export function cancelledWithScope<C extends ChildWorkflowHandle<Workflow>>(child: C): C {
  let over = false;
  const end = () => {
    over = true;
  };
  child.result().then(end, end);
  const scope = CancellationScope.current();
  scope.cancelRequested.catch(() => {
    // What shields itself hears of the request all the same, and goes on: a rollback does not stop for it.
    if (over || !scope.consideredCancelled) return;
    const latest = getExternalWorkflowHandle(child.workflowId);
    // It may have ended in this very moment, or have heard of the cancellation already.
    CancellationScope.nonCancellable(() => latest.cancel()).catch(() => {});
  });
  return child;
}
