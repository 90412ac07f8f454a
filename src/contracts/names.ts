/** Task queue of the workflows and of the activities that touch only the control database. */
export const CONTROL_QUEUE = 'cutover';

/** Task queue of the activities that touch one target database and must not wait for long: gates, flags, schema changes. */
export function targetQueue(target: string): string {
  return `cutover-target-${target}`;
}

/**
 * Task queue of the lanes that work on the rows of one target database for minutes at a time. Its slots are what a worker
 * lends to all runs together; a lane that has had its minutes goes to the end of the queue.
 */
export function laneQueue(target: string): string {
  return `cutover-target-${target}-lanes`;
}

/**
 * Task queue of those who look after the syncs of one target database, for as long as a run lasts. They wait most of the time,
 * so their slots are many and their own: neither a lane nor a gate waits behind them.
 */
export function watchQueue(target: string): string {
  return `cutover-target-${target}-watches`;
}

/** A run's id is also the id of its migration workflow, so that one is found from the other in the Web UI. */
export function phaseWorkflowId(runId: string, phase: string): string {
  return `${runId}/${phase}`;
}

export function stageWorkflowId(runId: string, phase: string, percentage: number): string {
  return `${runId}/${phase}/${percentage}pct`;
}

/** Looks after what the sync phase has installed. */
export function watchWorkflowId(runId: string, phase: string): string {
  return `${runId}/${phase}/watch`;
}

/** Ends what the sync phase has installed, at the end of the run or before its first cleanup. */
export function syncEndWorkflowId(runId: string, phase: string): string {
  return `${runId}/${phase}/end`;
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
