import { CancellationScope, log } from '@temporalio/workflow';
import { PHASE_COMMAND_SIGNAL, type PhaseCommand } from '../contracts/commands.ts';

type Signalable = { workflowId: string; signal(name: string, command: PhaseCommand): Promise<void> };

/**
 * Hands commands on to the child workflow that is under way. Commands that come while the child is being started are kept
 * until it can hear them; between children they are dropped, since they were meant for the one that ended.
 */
export class CommandRelay {
  private child: Signalable | undefined;
  private waiting: PhaseCommand[] | undefined;

  /** Call before starting a child. */
  expectChild(): void {
    this.waiting = [];
  }

  async attach(child: Signalable): Promise<void> {
    this.child = child;
    const missed = this.waiting ?? [];
    this.waiting = undefined;
    for (const command of missed) await this.send(child, command);
  }

  detach(): void {
    this.child = undefined;
    this.waiting = undefined;
  }

  async forward(command: PhaseCommand): Promise<void> {
    if (this.child) await this.send(this.child, command);
    else this.waiting?.push(command);
  }

  private async send(child: Signalable, command: PhaseCommand): Promise<void> {
    try {
      await CancellationScope.nonCancellable(() => child.signal(PHASE_COMMAND_SIGNAL, command));
    } catch (error) {
      // The child ended in the meantime, so there is nothing left to command; a handler that throws would block the workflow.
      log.info('a command came after its phase had ended', {
        child: child.workflowId,
        command: command.kind,
        error,
      });
    }
  }
}
