import { CancellationScope, condition } from '@temporalio/workflow';
import type { MigrationInput } from '../contracts/runs.ts';
import type { Phase } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { quick } from './activities.ts';
import { reasonOf } from './reason-of.ts';
import type { Run } from './run.ts';

/** Holds a phase back that wants every row decided, before it begins; true when a person has had the run look again. */
export async function isHeldBack(run: Run, phase: Phase): Promise<boolean> {
  if (!phase.noOpenExceptions) return false;
  run.phase = phase;
  const work = new CancellationScope();
  run.work = work;
  const why = await work
    .run(() => openExceptions(run.input))
    .catch((error: unknown) => `its exceptions could not be counted: ${reasonOf(error)}`)
    .finally(() => {
      run.work = undefined;
    });
  if (why === undefined) return false;
  run.apply('phase_failed_hold', `"${phase.name}" has not begun: ${why}; resume looks again`);
  await condition(() => run.status !== 'held');
  return true;
}

/** In words, how many rows nobody has decided about; undefined when there is none. */
async function openExceptions({ runId, plan }: MigrationInput): Promise<string | undefined> {
  const { target } = plan;
  const count = quick(target, 'Count rows that nobody has decided about').countOpenExceptions;
  const found = await count({ runId, target });
  if (found.length === 0) return undefined;
  const total = found.reduce((sum, { rows }) => sum + rows, 0);
  const each = found.map(({ phase, kind, rows }) => `${rows} ${kind} of "${phase}"`).join(', ');
  return (
    `${plural(total, 'exception')} of the run ${total === 1 ? 'is' : 'are'} open (${each}), and it begins only when none is; ` +
    'resolve, replay or skip them'
  );
}
