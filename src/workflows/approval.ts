import { condition } from '@temporalio/workflow';
import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import { formatMs, scaledMs } from '../domain/duration.ts';
import type { ApprovalPhase } from '../domain/plan.ts';
import { listenForCommands } from './phase-commands.ts';

/** Waits until enough people have approved; the run has already checked that each of them may. */
export async function approvalPhase(input: PhaseInput<ApprovalPhase>): Promise<PhaseOutcome> {
  const { phase, timeScale } = input;
  const heard = listenForCommands(false);
  // A deadline is for people, so shortening a run's holds never leaves them less than a minute.
  const deadlineMs = Math.max(scaledMs(phase.deadline, timeScale), 60_000);

  const approved = await condition(() => heard.approvedBy.length >= phase.count, deadlineMs, {
    summary: `deadline of approval "${phase.name}"`,
  });
  if (approved) return { kind: 'done', summary: `approved by ${heard.approvedBy.join(', ')}` };

  const reason = `${heard.approvedBy.length} of ${phase.count} approvals came within ${formatMs(deadlineMs)}`;
  return { kind: phase.onDeadline === 'hold' ? 'hold' : 'undo', reason };
}
