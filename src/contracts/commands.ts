import type { Actor } from '../domain/approval.ts';

/** Argument of every command's update and signal. */
export type CommandInput = { actor: Actor; reason?: string | undefined };

/** Name of the query that returns a run's present state as its workflow sees it. */
export const STATE_QUERY = 'state';

/** Name of the signal by which a run hands commands on to the phase that is under way. */
export const PHASE_COMMAND_SIGNAL = 'phase-command';

/** What a phase hears of: its clock stops and goes on, it ends a hold early, somebody approved. */
export type PhaseCommand =
  | { kind: 'pause' }
  | { kind: 'resume' }
  | { kind: 'advance'; by: string }
  | { kind: 'approve'; by: string };
