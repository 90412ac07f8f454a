import type { Session } from '../../target.ts';
import { type JournalShape, journalName } from './journal.ts';
import { keyEquals } from './key-range.ts';
import { Params } from './sql.ts';
import { digest, type Key, ref } from './table.ts';
import { keyItems, TO_RESTORE, takenRows } from './take-rows.ts';

type InJournal = JournalShape & { backfill: string };

/** Rows of a journal that were looked at, and those among them that undo would leave alone. */
export type Changed = { looked: number; changed: number };

/** Looks at the next rows on the way down the journal; `last` is the key of the last one. Locks nothing. */
export async function countChanged(
  session: Session,
  journal: InJournal,
  below: Key | undefined,
  limit: number,
): Promise<Changed & { last: Key | undefined }> {
  const params = new Params();
  const { table, backfill } = journal;
  const next = takenRows(table, backfill, { below, limit, look: true }, items(journal), params);
  const { rows } = await session.query<Changed & { last: Key | null }>(
    `WITH cutover_taken AS MATERIALIZED (${next})
     SELECT ${counted(journal)},
            (SELECT to_json(cutover_name) FROM cutover_taken ORDER BY cutover_number DESC LIMIT 1) AS last
       ${comparison(journal)}`,
    params.values,
  );
  const { looked = 0, changed = 0, last } = rows[0] ?? {};
  return { looked, changed, last: last ?? undefined };
}

/** Looks at the rows on random pages of the journal, so many percent of them. */
export async function sampleChanged(session: Session, journal: InJournal, percent: number): Promise<Changed> {
  const { table, backfill } = journal;
  const { rows } = await session.query<Changed>(
    `WITH cutover_taken AS MATERIALIZED (
       SELECT ${[...keyItems(table, 'journal'), ...items(journal)].join(', ')}
         FROM ${journalName(backfill)} AS journal TABLESAMPLE SYSTEM ($1)
        WHERE ${TO_RESTORE}
     )
     SELECT ${counted(journal)} ${comparison(journal)}`,
    [percent],
  );
  return rows[0] ?? { looked: 0, changed: 0 };
}

function items({ others }: InJournal): string[] {
  return ['journal.after AS cutover_after', ...(others ? ['journal.rest AS cutover_rest'] : [])];
}

function counted({ table, written, others }: InJournal): string {
  const isGone = table.key.map((column) => `${ref(table, column)} IS NULL`).join(' AND ');
  const isOther = others ? `OR ${digest(table, others)} <> cutover_rest` : '';
  const isChanged = `${isGone} OR ${digest(table, written)} <> cutover_after ${isOther}`;
  return `count(*)::float8 AS looked, count(*) FILTER (WHERE ${isChanged})::float8 AS changed`;
}

function comparison({ table }: InJournal): string {
  return `FROM cutover_taken LEFT JOIN ${table.qualifiedName} ON ${keyEquals(table, (i) => `cutover_k${i}`)}`;
}
