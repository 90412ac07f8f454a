import type { Session } from '../../target.ts';
import type { KeyRange } from '../backfill/key-range.ts';
import type { Key } from '../backfill/table.ts';

/** What the backfill has yet to come past. */
export async function listOpenRanges(session: Session, backfill: string): Promise<KeyRange[]> {
  const { rows } = await session.query<{ after: Key | null; upTo: Key }>(
    `SELECT coalesce(cursor, after) AS after, up_to AS "upTo" FROM cutover.range WHERE backfill = $1 AND NOT done`,
    [backfill],
  );
  return rows.map(({ after, upTo }) => ({ after: after ?? undefined, upTo }));
}
