import type { Actor } from '../domain/approval.ts';

/** Argument of every command's update and signal. */
export type CommandInput = {
  actor: Actor;
  reason?: string | undefined;
  /** Of a throttle: on how many the backfill is to work. */
  connections?: number | undefined;
};

/** Name of the query that returns a run's present state as its workflow sees it. */
export const STATE_QUERY = 'state';

/** Name of the signal by which a run hands commands on to the phase that is under way. */
export const PHASE_COMMAND_SIGNAL = 'phase-command';

/** Name of the signal by which the watch of a sync tells its run that rows have drifted, and that a person has to decide. */
export const DRIFT_SIGNAL = 'sync-drift';
export type DriftSignal = { phase: string; reason: string };

/** What a phase hears of: its clock stops and goes on, it works on fewer or more connections, it ends a hold early, somebody approved. */
export type PhaseCommand =
  | { kind: 'pause' }
  | { kind: 'resume' }
  | { kind: 'throttle'; connections: number }
  | { kind: 'advance'; by: string }
  | { kind: 'approve'; by: string };
