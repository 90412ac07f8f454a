import type { ExceptionDecision, ExceptionFilter, ExceptionStatus } from '../../domain/row-exception.ts';

/** What a person has decided about which exceptions. */
export type DecisionRequest = {
  /** Names the request: what it has dealt with once it leaves alone when it is made again. */
  request: string;
  /** Whose decision it is. */
  by: string;
  decision: ExceptionDecision;
  /** Exceptions to decide about. By ids also those that were skipped; else those of its status, open unless given. */
  filter: ExceptionFilter;
  /** Why, for whoever reads it later. */
  note?: string | undefined;
};

/** What was skipped can still be decided otherwise, when somebody asks for it; its row is as it was. */
export function statusesOf({
  decision,
  filter: { status, ids },
}: Pick<DecisionRequest, 'decision' | 'filter'>): ExceptionStatus[] {
  const asked: ExceptionStatus[] = status ? [status] : ids ? ['open', 'skipped'] : ['open'];
  return asked.filter((one) => one === 'open' || (one === 'skipped' && decision.kind !== 'skip'));
}
