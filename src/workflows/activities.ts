import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { ControlActivities, TargetActivities } from '../contracts/activities.ts';
import { CONTROL_QUEUE, laneQueue, targetQueue, watchQueue } from '../contracts/names.ts';

/*
 * Timeouts and retries of every activity, in one place. Retryable faults are retried without end, because a database that
 * is away for a night must not end a run; the activities mark what can't get better as non-retryable.
 * WAIT_CANCELLATION_COMPLETED everywhere: an undo must never overlap with the work that it undoes.
 */
const PATIENT = { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '15s' } as const;

/** Activities that touch only the control database. */
export function control(summary: string) {
  return proxyActivities<ControlActivities>({
    taskQueue: CONTROL_QUEUE,
    startToCloseTimeout: '20s',
    retry: PATIENT,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: shorten(summary),
  });
}

/** Activities on a target database that end within seconds. */
export function quick(target: string, summary: string) {
  return proxyActivities<TargetActivities>({
    taskQueue: targetQueue(target),
    startToCloseTimeout: '1m',
    retry: PATIENT,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: shorten(summary),
  });
}

/** Activities on a target database that work for minutes or hours and heartbeat while they do. */
export function long(target: string, summary: string) {
  return proxyActivities<TargetActivities>({
    taskQueue: targetQueue(target),
    startToCloseTimeout: '24h',
    heartbeatTimeout: '10s',
    retry: PATIENT,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: shorten(summary),
  });
}

/** One lane's share of the work on a table's rows: some minutes on a connection of its own. */
export function lane(target: string, summary: string) {
  return proxyActivities<TargetActivities>({
    taskQueue: laneQueue(target),
    startToCloseTimeout: '24h',
    heartbeatTimeout: '10s',
    retry: PATIENT,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: shorten(summary),
  });
}

/** Looking after a sync, most of the time waiting. */
export function watch(target: string, summary: string) {
  return proxyActivities<TargetActivities>({
    taskQueue: watchQueue(target),
    startToCloseTimeout: '24h',
    heartbeatTimeout: '10s',
    retry: PATIENT,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: shorten(summary),
  });
}

/** Preflight gives up: an unreachable target is an answer there, not something to wait for. */
export function preflight(target: string) {
  return proxyActivities<TargetActivities>({
    taskQueue: targetQueue(target),
    startToCloseTimeout: '1m',
    scheduleToStartTimeout: '2m',
    retry: { ...PATIENT, maximumAttempts: 4 },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: `Check the plan against ${target}`,
  });
}

/** The server refuses summaries of more than 400 bytes. */
export function shorten(summary: string): string {
  return summary.length > 100 ? `${summary.slice(0, 99)}…` : summary;
}
