import type { Session } from '../../target.ts';
import { Params, parenthesised } from './sql.ts';
import { type BackfillTable, withStandIns } from './table.ts';

/** Up to here counting costs less than what a wrong estimate does to a progress bar. */
const COUNTED_ROWS = 100_000;

/** Drawn by whole pages, of which rows that were written together are alike; enough for a few per cent. */
const SAMPLED_ROWS = 20_000;

/**
 * Rows that meet the condition: counted where the table is small, else estimated from a sample of its pages. The planner's own
 * estimate knows nothing of a column that was added since the table was analysed, and takes NULL in it for rare.
 */
export async function estimateRows(
  session: Session,
  table: BackfillTable,
  where: string | undefined,
): Promise<number> {
  const from = `FROM ${withStandIns(table)} WHERE ${where === undefined ? 'true' : parenthesised(where)}`;
  const all = await plannedRows(session, `SELECT FROM ${table.qualifiedName}`);
  if (all > COUNTED_ROWS) {
    if (where === undefined) return all;
    const share = await sampledShare(session, table, where, all);
    return share === undefined ? plannedRows(session, `SELECT ${from}`) : Math.round(share * all);
  }
  const params = new Params();
  const { rows } = await session.query<{ rows: number }>(
    `SELECT count(*)::float8 AS rows FROM (SELECT ${from} LIMIT ${params.add(COUNTED_ROWS * 2)}) AS counted`,
    params.values,
  );
  return rows[0]?.rows ?? 0;
}

/** Undefined where pages cannot be drawn, as of a view, or none was. */
async function sampledShare(
  session: Session,
  table: BackfillTable,
  where: string,
  all: number,
): Promise<number | undefined> {
  const { rows: kinds } = await session.query<{ hasPages: boolean }>(
    `SELECT relkind IN ('r', 'p', 'm') AS "hasPages" FROM pg_class WHERE oid = to_regclass($1)`,
    [table.qualifiedName],
  );
  if (!kinds[0]?.hasPages) return undefined;
  const params = new Params();
  const percent = `${params.add((100 * SAMPLED_ROWS) / all)}::float4`;
  const drawn = { ...table, qualifiedName: `${table.qualifiedName} TABLESAMPLE SYSTEM (${percent})` };
  const { rows } = await session.query<{ share: number | null }>(
    `SELECT count(*) FILTER (WHERE ${parenthesised(where)}) / nullif(count(*), 0)::float8 AS share FROM ${withStandIns(drawn)}`,
    params.values,
  );
  return rows[0]?.share ?? undefined;
}

async function plannedRows(session: Session, select: string): Promise<number> {
  const { rows } = await session.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    `EXPLAIN (FORMAT JSON) ${select}`,
  );
  return rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0;
}
