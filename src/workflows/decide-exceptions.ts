import { workflowInfo } from '@temporalio/workflow';
import type { DecideExceptionsInput } from '../contracts/runs.ts';
import { plural } from '../domain/plural.ts';
import type { DecisionResult, ExceptionDecision } from '../domain/row-exception.ts';
import { control, long } from './activities.ts';

/** Carries out a decision about rows that a backfill set aside, whatever the run itself is doing meanwhile. */
export async function decideExceptions(input: DecideExceptionsInput): Promise<DecisionResult> {
  const { runId, planName, target, phase, actor, decision, filter, note } = input;
  const { workflowId } = workflowInfo();
  const summary = `${TITLES[decision.kind]} of ${phase.table}`;
  const work = {
    ...{ runId, planName, target, phase: phase.name, backfill: phase, performedBy: actor },
    ...{ request: workflowId, decision, filter, note },
  };
  for (;;) {
    const { done, ...result } = await long(target, summary).decideExceptions(work);
    if (!done) continue;
    const message = `${inWords(decision, result)} by ${actor.name}${note ? `: ${note}` : ''}`;
    await control('Record what was decided').recordNote({
      runId,
      phase: phase.name,
      type: 'command',
      message,
      data: { command: `${decision.kind}-exceptions`, actor: actor.name, filter, note, ...result },
      key: workflowId,
    });
    return result;
  }
}

const TITLES: Record<ExceptionDecision['kind'], string> = {
  resolve: 'Write decided values to rows',
  replay: 'Derive rows again',
  skip: 'Leave rows',
};

function inWords(decision: ExceptionDecision, { resolved, replayed, skipped, left }: DecisionResult): string {
  const settled = { resolve: resolved, replay: replayed, skip: skipped }[decision.kind];
  const verb = { resolve: 'resolved', replay: 'replayed', skip: 'skipped' }[decision.kind];
  const gone = decision.kind !== 'skip' && skipped > 0 ? `, ${skipped} skipped` : '';
  return `${plural(settled, 'exception')} ${verb}${gone}${left > 0 ? `, ${left} left open` : ''}`;
}
