import type { Session } from '../../target.ts';
import { sqlState } from '../errors.ts';
import { keyOf } from './find-key.ts';
import { isAmong, keyOrder } from './key-range.ts';
import { withSavepoint } from './savepoint.ts';
import { Params } from './sql.ts';
import { type BackfillTable, type Key, ref } from './table.ts';

/** So many sampled rows per range leave the largest range a few percent above the mean. */
const SAMPLED_ROWS_PER_RANGE = 500;

/**
 * Keys that cut the table into ranges of about as many rows each, the highest one last. They are quantiles of a sample of
 * pages, so that they spread evenly whatever the keys are: uuids, texts, composites, numbers with gaps.
 * @param rows about how many rows the table has.
 */
export async function cutRanges(
  session: Session,
  table: BackfillTable,
  upperBound: Key,
  ranges: number,
  rows: number,
): Promise<Key[]> {
  if (ranges < 2) return [upperBound];
  try {
    const cuts = await withSavepoint(session, () =>
      sampleQuantiles(session, table, upperBound, ranges, rows),
    );
    return [...cuts, upperBound];
  } catch (error) {
    // Only tables proper can be sampled; a view that takes updates is one range.
    if (sqlState(error) === WRONG_OBJECT_TYPE) return [upperBound];
    throw error;
  }
}

const WRONG_OBJECT_TYPE = '42809';

async function sampleQuantiles(
  session: Session,
  table: BackfillTable,
  upperBound: Key,
  ranges: number,
  rows: number,
): Promise<Key[]> {
  const percent = Math.min(100, (100 * ranges * SAMPLED_ROWS_PER_RANGE) / Math.max(rows, 1));
  const params = new Params();
  const sample = `${table.qualifiedName} TABLESAMPLE SYSTEM (${params.add(percent)}::float4)`;
  const parts = `${params.add(ranges)}::bigint`;
  const names = table.key.map((_, i) => `s${i}`);
  const { rows: cuts } = await session.query(
    `SELECT ${names.map((name, i) => `${name}::text AS k${i}`).join(', ')}
       FROM (
         SELECT ${table.key.map((column, i) => `${ref(table, column)} AS s${i}`).join(', ')},
                row_number() OVER (ORDER BY ${keyOrder(table)}) AS position, count(*) OVER () AS total
           FROM ${sample}
          WHERE ${isAmong(table, { upTo: upperBound }, params)}
       ) AS sampled
      WHERE position < total AND position * ${parts} / total > (position - 1) * ${parts} / total
      ORDER BY position`,
    params.values,
  );
  return cuts.map((row) => keyOf(table, row));
}
