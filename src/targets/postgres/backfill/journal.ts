import type { Params } from './sql.ts';
import { asTextArray, type BackfillColumn, type BackfillTable, digest } from './table.ts';

/** Where and what a batch journals; `keys` for plans that undo by SQL of their own. */
export type Journal = { backfill: string; runId: string; keep: 'rows' | 'keys' };

/** Select item for the rows as they were before. */
export function preImage(
  table: BackfillTable,
  written: readonly BackfillColumn[],
  journal: Journal | undefined,
): string {
  return journal?.keep === 'rows' ? asTextArray(table, written) : 'NULL::text[]';
}

/** Select item for the digest of the rows as they are afterwards. */
export function postImage(
  table: BackfillTable,
  written: readonly BackfillColumn[],
  journal: Journal | undefined,
): string {
  return journal?.keep === 'rows' ? digest(table, written) : 'NULL::bytea';
}

/** A further WITH item that journals `cutover_changed(key, before, after)`. */
export function journalling(journal: Journal | undefined, params: Params): string {
  if (!journal) return '';
  return `, cutover_journalled AS (
    INSERT INTO cutover.journal (backfill, run_id, key, before, after)
    SELECT ${params.add(journal.backfill)}, ${params.add(journal.runId)}, key, before, after FROM cutover_changed
  )`;
}
