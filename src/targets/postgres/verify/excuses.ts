import type { Session } from '../../target.ts';
import { keysAsRows } from '../backfill/key-range.ts';
import { Params } from '../backfill/sql.ts';
import type { BackfillTable, Key } from '../backfill/table.ts';

/** Why a row may be other than its transform makes it: it was set aside, or its sync has yet to derive it. */
export type Excuse = { key: Key; why: 'ambiguous' | 'failed' | 'accepted' | 'captured' };

/**
 * Which of the rows may differ. A row that was set aside may, whatever was decided about it, unless it was derived again
 * since; and so may one of which a person has said that its difference can stay.
 * @param syncs names of the run's syncs whose queues count.
 */
export async function listExcuses(
  session: Session,
  table: BackfillTable,
  rows: { runId: string; backfill: string; syncs: readonly string[]; keys: readonly Key[] },
): Promise<Excuse[]> {
  if (rows.keys.length === 0) return [];
  const setAside = await listSetAside(session, rows);
  return rows.syncs.length === 0 ? setAside : [...setAside, ...(await listCaptured(session, table, rows))];
}

async function listSetAside(
  session: Session,
  { runId, backfill, keys }: { runId: string; backfill: string; keys: readonly Key[] },
): Promise<Excuse[]> {
  const { rows } = await session.query<Excuse>(
    `SELECT DISTINCT ON (key) key, CASE kind WHEN 'differs' THEN 'accepted' ELSE kind END AS why
       FROM cutover.exception
      WHERE run_id = $1 AND phase = $2 AND key IN (SELECT jsonb_array_elements($3::jsonb))
        AND (kind IN ('ambiguous', 'failed') AND status <> 'replayed' OR kind = 'differs' AND status IN ('skipped', 'resolved'))
      ORDER BY key, kind`,
    [runId, backfill, JSON.stringify(keys)],
  );
  return rows;
}

/** Compared as values, since a key may be noted in another spelling: 1.0 and 1.00 are one number. */
async function listCaptured(
  session: Session,
  table: BackfillTable,
  { runId, syncs, keys }: { runId: string; syncs: readonly string[]; keys: readonly Key[] },
): Promise<Excuse[]> {
  const params = new Params();
  const typed = (source: (i: number) => string) =>
    `(${table.key.map(({ castType }, i) => `${source(i)}::${castType}`).join(', ')})`;
  const { rows } = await session.query<{ key: Key }>(
    `SELECT ARRAY[${table.key.map((_, i) => `asked.k${i}`).join(', ')}] AS key
       FROM ${keysAsRows(table, keys, 'asked', params)}
      WHERE ${typed((i) => `asked.k${i}`)} IN (
              SELECT ${table.key.map(({ castType }, i) => `captured.key[${i + 1}]::${castType}`).join(', ')}
                FROM cutover.captured JOIN cutover.sync ON sync.id = captured.sync
               WHERE sync.run_id = ${params.add(runId)} AND sync.phase = ANY (${params.add(syncs)}))`,
    params.values,
  );
  return rows.map(({ key }) => ({ key, why: 'captured' }));
}
