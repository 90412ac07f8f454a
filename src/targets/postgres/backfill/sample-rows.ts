import type { Session } from '../../target.ts';
import { keyColumns, keyOf } from './find-key.ts';
import { keyOrder } from './key-range.ts';
import { Params } from './sql.ts';
import type { BackfillTable, Key } from './table.ts';
import type { TableSize } from './table-size.ts';

/** A smaller table is read whole, and rows drawn one by one. */
const FEW_PAGES = 1_000;
/** Rows of one page are alike, so a sample comes from no fewer pages than this. */
const LEAST_PAGES = 200;

/**
 * Keys of about so many rows from all over the table, in order: random pages of it, or random rows where it is small. Pages
 * hold rows that were written together, so a sample of few pages is spread over more of them, taking only some of their rows.
 */
export async function sampleKeys(
  session: Session,
  table: BackfillTable,
  wanted: number,
  size: Pick<TableSize, 'pages' | 'rows'>,
): Promise<Key[]> {
  const share = Math.min(1, wanted / Math.max(size.rows, 1));
  const pages = share * size.pages;
  const byPage = size.pages >= FEW_PAGES;
  const spread = byPage ? Math.min(Math.max(1, LEAST_PAGES / Math.max(pages, 1e-9)), 1 / share) : 1;
  const params = new Params();
  const percent = `${params.add(Math.min(100, 100 * share * spread))}::float4`;
  const kept = params.add(1 / spread);
  const { rows } = await session.query(
    `SELECT ${table.key.map((_, i) => `k${i}`).join(', ')}
       FROM (SELECT ${keyColumns(table)}, row_number() OVER (ORDER BY ${keyOrder(table)}) AS position
               FROM ${table.qualifiedName} TABLESAMPLE ${byPage ? 'SYSTEM' : 'BERNOULLI'} (${percent})
              WHERE random() < ${kept}::float8) AS sampled
      ORDER BY position LIMIT ${params.add(Math.ceil(wanted * 2))}`,
    params.values,
  );
  return rows.map((row) => keyOf(table, row));
}
