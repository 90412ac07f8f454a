import {
  ChildWorkflowCancellationType,
  type ChildWorkflowOptions,
  ParentClosePolicy,
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
