import type { Measurement } from '../../../domain/gate-verdict.ts';
import type { Session } from '../../target.ts';
import { TABLE_TREE } from './table-tree.ts';

/**
 * Dead rows of the table and its partitions as a share of all their rows, 0 to 1, as the server's statistics have it.
 * Rights: none.
 */
export async function measureDeadTuples(session: Session, table: string): Promise<Measurement> {
  const { rows } = await session.query<{ counted: boolean; share: number }>(DEAD_SHARE, [table]);
  const [found] = rows;
  if (!found?.counted) return { kind: 'error', message: 'the server counts no rows; set track_counts to on' };
  return { kind: 'value', value: found.share };
}

const DEAD_SHARE = `
  WITH RECURSIVE ${TABLE_TREE},
  counts AS (
    SELECT sum(pg_stat_get_dead_tuples(relation))::float8 AS dead,
           sum(pg_stat_get_live_tuples(relation))::float8 AS live
      FROM tree)
  SELECT current_setting('track_counts')::boolean AS counted,
         coalesce(dead / nullif(dead + live, 0), 0) AS share
    FROM counts`;
