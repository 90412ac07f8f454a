import { namesIn } from '../../domain/sql-lexer.ts';
import { insertExceptions, type RowException } from '../../targets/postgres/backfill/exceptions.ts';
import type { Writer } from '../../targets/postgres/backfill/pin-session.ts';
import { readDigests } from '../../targets/postgres/backfill/row-digests.ts';
import type { BackfillColumn } from '../../targets/postgres/backfill/table.ts';
import type { Session } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { failedStatement } from './statement.ts';

/**
 * Records rows that were set aside, with the statement that failed on each and what they looked like, in the transaction
 * that has dealt with them.
 * @param options `counted` says that this transaction counts the rows as part of their range, as a batch of the backfill does.
 */
export async function recordExceptions(
  session: Session,
  context: BatchContext,
  { runId, phase }: Writer,
  exceptions: readonly RowException[],
  options: { counted: boolean },
): Promise<void> {
  if (exceptions.length === 0) return;
  const keys = exceptions.map(({ key }) => key);
  const rows = await readDigests(session, context.table, columnsThatMatter(context), keys, false);
  const seen = new Map(rows.map(({ key, digest }) => [JSON.stringify(key), digest]));
  const records = exceptions.map((exception) => ({
    ...exception,
    ...failedStatement(context, exception),
    seen: seen.get(JSON.stringify(exception.key)),
  }));
  await insertExceptions(session, runId, phase, records, options);
}

/** Columns on which a decision about a row depends: those that the transform reads, and those that it writes. */
export function columnsThatMatter({ phase, table, transform }: BatchContext): BackfillColumn[] {
  const names = new Set([
    ...(transform ? [...transform.reads, ...transform.writes] : []),
    ...sqlOf(phase).flatMap((sql) => [...namesIn(sql)]),
    ...(phase.transform.kind === 'sql' ? Object.keys(phase.transform.set) : []),
  ]);
  return [...table.columns.values()].filter(({ name, missing }) => names.has(name) && !missing);
}

function sqlOf({ where, transform }: BatchContext['phase']): string[] {
  const expressions =
    transform.kind === 'sql'
      ? Object.values(transform.set)
      : transform.kind === 'insert'
        ? Object.values(transform.values)
        : [];
  return where === undefined ? expressions : [...expressions, where];
}
