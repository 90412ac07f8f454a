import { condition, sleep } from '@temporalio/workflow';
import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import { durationMs, formatMs, scaledMs } from '../domain/duration.ts';
import type { CleanupPhase } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { long, quick } from './activities.ts';
import { phaseRef } from './phase.ts';
import { listenForCommands } from './phase-commands.ts';

/**
 * Waits until nothing can need what the cleanup drops: the flag at 100 % for the plan's time. It runs before the cleanup's
 * point of no return, so that the run can still be rolled back while it waits. A pause holds it back; the flag is looked at
 * after that.
 */
export async function cleanupGuard(input: PhaseInput<CleanupPhase>): Promise<PhaseOutcome> {
  const { after } = input.phase;
  const heard = listenForCommands(input.paused);
  if (!after) return { kind: 'done', summary: 'no flag to wait for' };
  const reachedAt = input.fullyRolledOutAt[after.flag.name];
  if (reachedAt === undefined)
    return { kind: 'hold', reason: `${after.flag.name} has not reached 100 % in this run` };

  const remaining = reachedAt + scaledMs(after.for, input.timeScale) - Date.now();
  if (remaining > 0) await sleep(remaining, { summary: `${after.flag.name} at 100 % for ${after.for}` });

  await condition(() => !heard.paused);

  const flag = await quick(input.target, `Read ${after.flag.name}`).readFlag({
    ...phaseRef(input),
    flag: after.flag,
  });
  if (!flag.enabled || flag.percentage < 100) {
    const reason = `${after.flag.name} is at ${flag.percentage} % (enabled: ${flag.enabled}); nothing is dropped below 100 %`;
    return { kind: 'hold', reason };
  }
  return { kind: 'done', summary: `${after.flag.name} at 100 % for ${formatMs(Date.now() - reachedAt)}` };
}

/** Runs the statements that remove what the migration has made superfluous. */
export async function cleanupPhase(input: PhaseInput<CleanupPhase>): Promise<PhaseOutcome> {
  const { phase, target } = input;
  const { applied } = await long(
    target,
    `Apply ${plural(phase.statements.length, 'cleanup statement')}`,
  ).changeSchema({
    ...phaseRef(input),
    direction: 'up',
    statements: phase.statements,
    lockTimeoutMs: durationMs(phase.lockTimeout),
    lockAttempts: phase.lockAttempts,
  });
  return { kind: 'done', summary: `${plural(applied, 'statement')} applied` };
}
