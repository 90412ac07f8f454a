import { ApplicationFailure, rootCause, TimeoutFailure } from '@temporalio/workflow';

/** The text that an activity has made for people; else the innermost one. */
export function reasonOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ApplicationFailure || cause instanceof TimeoutFailure) return cause.message;
  }
  return rootCause(error) || String(error);
}
