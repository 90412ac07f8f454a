import type { Session } from '../../target.ts';
import { Params, parenthesised } from './sql.ts';
import { type BackfillTable, withStandIns } from './table.ts';

/** Up to here counting costs less than what a wrong estimate does to a progress bar. */
const COUNTED_ROWS = 100_000;

/** Rows that meet the condition: counted where the table is small, else as the planner estimates. */
export async function estimateRows(
  session: Session,
  table: BackfillTable,
  where: string | undefined,
): Promise<number> {
  const from = `FROM ${withStandIns(table)} WHERE ${where === undefined ? 'true' : parenthesised(where)}`;
  if ((await plannedRows(session, `SELECT FROM ${table.qualifiedName}`)) > COUNTED_ROWS) {
    return plannedRows(session, `SELECT ${from}`);
  }
  const params = new Params();
  const { rows } = await session.query<{ rows: number }>(
    `SELECT count(*)::float8 AS rows FROM (SELECT ${from} LIMIT ${params.add(COUNTED_ROWS * 2)}) AS counted`,
    params.values,
  );
  return rows[0]?.rows ?? 0;
}

async function plannedRows(session: Session, select: string): Promise<number> {
  const { rows } = await session.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    `EXPLAIN (FORMAT JSON) ${select}`,
  );
  return rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0;
}
