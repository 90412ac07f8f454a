import { defineSignal, setHandler } from '@temporalio/workflow';
import { PHASE_COMMAND_SIGNAL, type PhaseCommand } from '../contracts/commands.ts';

export const phaseCommand = defineSignal<[PhaseCommand]>(PHASE_COMMAND_SIGNAL);

/** What a phase has heard of its run's commands. */
export type PhaseCommands = {
  paused: boolean;
  /** Who asked to end the present hold early. */
  advancedBy: string | undefined;
  approvedBy: string[];
};

/**
 * Sets the handler of the commands that the run hands on; call it before the first await.
 * @param onCommand hears of each one after it was noted.
 */
export function listenForCommands(
  initiallyPaused: boolean,
  onCommand: (command: PhaseCommand, heard: PhaseCommands) => void | Promise<void> = () => {},
): PhaseCommands {
  const heard: PhaseCommands = { paused: initiallyPaused, advancedBy: undefined, approvedBy: [] };
  setHandler(phaseCommand, async (command) => {
    if (command.kind === 'pause') heard.paused = true;
    if (command.kind === 'resume') heard.paused = false;
    if (command.kind === 'advance') heard.advancedBy = command.by;
    if (command.kind === 'approve' && !heard.approvedBy.includes(command.by))
      heard.approvedBy.push(command.by);
    await onCommand(command, heard);
  });
  return heard;
}
