/** Task queue of the workflows and of the activities that touch only the control database. */
export const CONTROL_QUEUE = 'cutover';

/** Task queue of the activities that touch one target database; its slots are that target's budget. */
export function targetQueue(target: string): string {
  return `cutover-target-${target}`;
}

/** A run's id is also the id of its migration workflow, so that one is found from the other in the Web UI. */
export function phaseWorkflowId(runId: string, phase: string): string {
  return `${runId}/${phase}`;
}

export function stageWorkflowId(runId: string, phase: string, percentage: number): string {
  return `${runId}/${phase}/${percentage}pct`;
}

export function undoWorkflowId(runId: string, phase: string): string {
  return `${runId}/${phase}/undo`;
}

/** Names of the search attributes, all of type Keyword. */
export const SEARCH_ATTRIBUTES = {
  plan: 'CutoverPlan',
  target: 'CutoverTarget',
  run: 'CutoverRun',
  status: 'CutoverStatus',
  phase: 'CutoverPhase',
} as const;
