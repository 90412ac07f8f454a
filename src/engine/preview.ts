import type { RowException } from '../targets/postgres/backfill/exceptions.ts';
import { listKeys } from '../targets/postgres/backfill/find-key.ts';
import type { KeyRange } from '../targets/postgres/backfill/key-range.ts';
import type { BackfillTable, Key } from '../targets/postgres/backfill/table.ts';
import type { Row, Session } from '../targets/target.ts';

/** What would become of one row. */
export type PreviewedRow =
  | { outcome: 'migrated'; key: Key; before: Row; after: Row }
  | { outcome: 'skipped'; key: Key }
  | ({ outcome: 'ambiguous' | 'failed' } & Omit<RowException, 'kind'>);

/** Rows to look at; at most `limit` of them when it is given. */
export type PreviewRange = { range: KeyRange; limit: number | undefined };

/** A row that could not even be looked at. */
export function failing({ kind: _, ...exception }: RowException): PreviewedRow {
  return { outcome: 'failed', ...exception };
}

/** All rows of the range in the order of their keys, of which the database alone knows; failures were found apart. */
export async function inOrder(
  session: Session,
  table: BackfillTable,
  range: KeyRange,
  rows: readonly PreviewedRow[],
  failures: readonly PreviewedRow[],
): Promise<PreviewedRow[]> {
  if (failures.length === 0) return [...rows];
  const keys = await listKeys(session, table, range);
  const positions = new Map(keys.map((key, i) => [JSON.stringify(key), i]));
  const position = ({ key }: PreviewedRow) => positions.get(JSON.stringify(key)) ?? keys.length;
  return [...rows, ...failures].sort((a, b) => position(a) - position(b));
}
