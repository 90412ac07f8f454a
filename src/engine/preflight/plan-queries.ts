import type { Phase } from '../../domain/plan.ts';
import { explainQuery } from '../../targets/postgres/explain-query.ts';
import type { Target } from '../../targets/target.ts';

/** Whether a query that the plan runs later would be understood by the target. */
export type QueryCheck =
  | { kind: 'fine' }
  /** It names what an earlier phase is going to add. */
  | { kind: 'not-yet'; why: string }
  | { kind: 'wrong'; why: string };

/**
 * Plans a query that may only read on the target as it is now.
 * @param earlier phases that come before the query's.
 */
export async function checkQuery(
  target: Target,
  sql: string,
  parameters: Record<string, unknown>,
  earlier: readonly Phase[],
): Promise<QueryCheck> {
  const planned = await explainQuery(target, sql, parameters);
  if (planned.kind === 'fine') return planned;
  const { why, missing } = planned;
  const later = missing !== undefined && isAddedBy(earlier, missing);
  return { kind: later ? 'not-yet' : 'wrong', why };
}

/** Does a phase before name it, so that it may be there by then? Cutover's own tables are there once a run has begun. */
export function isAddedBy(earlier: readonly Phase[], name: string): boolean {
  const parts = name.split(/\s*\.\s*/).map((part) => part.replaceAll('"', '').toLowerCase());
  if (parts.length > 1 && parts[0] === 'cutover') return true;
  const last = parts.at(-1) ?? '';
  return earlier.some((phase) => textsOf(phase).some((text) => text.toLowerCase().includes(last)));
}

function textsOf(phase: Phase): string[] {
  switch (phase.kind) {
    case 'schema':
      return phase.up;
    case 'cleanup':
      return phase.statements;
    case 'backup':
      // Without a name of its own a copy is called after its table and the day.
      return phase.tables.map(({ table, as }) => as ?? `${table}_backup_`);
    default:
      return [];
  }
}
