import { CancellationScope, type ChildWorkflowHandle, startChild, type Workflow } from '@temporalio/workflow';
import type { PhaseCommand } from '../contracts/commands.ts';
import { watchWorkflowId } from '../contracts/names.ts';
import type { PhaseInput } from '../contracts/runs.ts';
import type { SyncPhase } from '../domain/plan.ts';
import { cancelledWithScope, childOptions } from './child.ts';
import { CommandRelay } from './command-relay.ts';

type Watch = {
  phase: SyncPhase;
  scope: CancellationScope;
  child: ChildWorkflowHandle<Workflow>;
  commands: CommandRelay;
};

/** The syncs of a run that are installed, each with the workflow that looks after it. */
export class Syncs {
  readonly #watches: Watch[] = [];

  /** The last one first. */
  get phases(): SyncPhase[] {
    return this.#watches.map(({ phase }) => phase).reverse();
  }

  /** Has the sync looked after from now on. */
  async start(input: PhaseInput<SyncPhase>): Promise<void> {
    const { phase } = input;
    const commands = new CommandRelay();
    commands.expectChild();
    const scope = new CancellationScope();
    const child = await scope.run(async () =>
      cancelledWithScope(
        await startChild<Workflow>('syncWatch', {
          ...childOptions(input, `look after sync ${phase.name}`),
          workflowId: watchWorkflowId(input.runId, phase.name),
          args: [input],
        }),
      ),
    );
    // It ends when it is stopped; until then its end is nobody's failure.
    child.result().catch(() => {});
    await commands.attach(child);
    this.#watches.push({ phase, scope, child, commands });
  }

  /** Stops looking after the sync; returns when nothing of that is under way any more. */
  async stop(phase: SyncPhase): Promise<void> {
    const index = this.#watches.findIndex((watch) => watch.phase === phase);
    const [watch] = index === -1 ? [] : this.#watches.splice(index, 1);
    if (!watch) return;
    watch.commands.detach();
    watch.scope.cancel();
    // However it ended: the sync itself is ended all the same.
    await watch.child.result().catch(() => {});
  }

  async stopAll(): Promise<void> {
    for (const phase of this.phases) await this.stop(phase);
  }

  async forward(command: PhaseCommand): Promise<void> {
    for (const { commands } of this.#watches) await commands.forward(command);
  }
}
