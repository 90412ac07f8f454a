import type { DecisionResult, LeftException } from '../../domain/row-exception.ts';
import {
  countDecided,
  type DecisionScope,
  selectKnown,
  selectLeft,
  selectPassedOver,
  selectWithoutProposal,
} from '../../targets/postgres/backfill/exception-decisions.ts';
import type { Session } from '../../targets/target.ts';
import { type DecisionRequest, statusesOf } from './request.ts';
import { NO_SUGGESTION } from './resolve.ts';

const EXAMPLES = 20;

/** What has become of the exceptions that a request was about, so far. */
export async function summarize(
  session: Session,
  scope: DecisionScope,
  { decision, filter }: Pick<DecisionRequest, 'decision' | 'filter'>,
): Promise<DecisionResult> {
  const { open, ...decided } = await countDecided(session, scope);
  const passedOver: LeftException[] = [];
  let left = open;
  let unknown: string[] = [];
  if (filter.ids) {
    const others = await selectPassedOver(session, scope, filter.ids);
    left += others.length;
    passedOver.push(
      ...others.map(({ id, key, status, by, at }) => ({
        id,
        key,
        why: `${status} already${by ? ` by ${by}` : ''}${at ? ` at ${at} UTC` : ''}; ${WAY_BACK}`,
      })),
    );
    const known = new Set(await selectKnown(session, scope, filter.ids));
    unknown = filter.ids.filter((id) => !known.has(id));
  } else if (decision.kind === 'resolve' && !decision.values) {
    const taking = { statuses: statusesOf({ decision, filter }), limit: EXAMPLES };
    const { rows, first } = await selectWithoutProposal(session, scope, filter, taking);
    left += rows;
    passedOver.push(...first.map((row) => ({ ...row, why: NO_SUGGESTION })));
  }
  const examples = [...(await selectLeft(session, scope, EXAMPLES)), ...passedOver].slice(0, EXAMPLES);
  return { ...decided, left, examples, unknown };
}

const WAY_BACK = 'undoing the row (undo-rows) takes a value back and opens its exception again';
