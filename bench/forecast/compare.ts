import pg from 'pg';
import type { Forecast } from '../../src/domain/forecast.ts';
import type { NumberRange } from '../../src/domain/number-range.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { forecastBackfill } from '../../src/engine/forecast/forecast-backfill.ts';
import { TransformRegistry } from '../../src/engine/transform/transform.ts';
import { backfillPhase } from '../../src/plan/schema/backfill.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import type { Shape } from './shapes.ts';

/** What was forecast, and what it was. */
export type Compared = { rows: number } & Record<
  'seconds' | 'walBytes' | 'diskBytes',
  { forecast: NumberRange; real: number }
>;

/**
 * Makes the shape's table in a database, which nobody else may write to meanwhile, forecasts its backfill, runs it and measures.
 * @param undo with or without a journal.
 */
export async function compare(
  url: string,
  shape: Shape,
  { rows, undo }: { rows: number; undo: 'none' | 'journal' },
): Promise<Compared> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const target = createPostgresTarget({ name: 'shapes', url, poolSize: 2 });
  try {
    const count = Math.round(rows * (shape.share ?? 1));
    await prepare(client, shape.create(count));
    const phase = backfillPhase.parse({
      kind: 'backfill',
      name: 'fill',
      table: 'shape',
      transform: shape.transform,
      undo: { kind: undo },
      pointOfNoReturn: undo === 'none',
      batchSize: 5_000,
      maxBatchSize: 5_000,
      throttle: [],
    });
    const transforms = new TransformRegistry(shape.registered ? [shape.registered] : []);
    const job = { runId: `shape-${Date.now()}`, phase, transforms };
    const foretell = () => forecastBackfill(target, job, { low: count, high: count });
    const before = await foretell();
    const from = await usage(client);
    const begun = performance.now();
    await runSlice(target, job);
    const seconds = (performance.now() - begun) / 1_000;
    const to = await usage(client);
    const after = await foretell();
    return {
      rows: count,
      // The machine may have got busier or less busy meanwhile, which is no fault of the forecast.
      seconds: { forecast: around(before, after, 'seconds'), real: seconds },
      walBytes: { forecast: before.walBytes, real: to.wal - from.wal },
      diskBytes: { forecast: before.diskBytes, real: to.disk - from.disk },
    };
  } finally {
    await target.close();
    await client.end();
  }
}

function around(before: Forecast, after: Forecast, what: 'seconds'): NumberRange {
  return {
    low: Math.min(before[what].low, after[what].low),
    high: Math.max(before[what].high, after[what].high),
  };
}

async function prepare(client: pg.Client, statements: string[]): Promise<void> {
  await client.query('DROP SCHEMA IF EXISTS cutover CASCADE; DROP TABLE IF EXISTS shape, shape_new CASCADE');
  for (const statement of statements) await client.query(statement);
  // What vacuum gives back meanwhile would be a matter of luck.
  await client.query('ALTER TABLE shape SET (autovacuum_enabled = off)');
  await client.query('VACUUM (FREEZE, ANALYZE) shape');
  await client.query('CHECKPOINT');
}

async function usage(client: pg.Client): Promise<{ wal: number; disk: number }> {
  const { rows } = await client.query<{ wal: number; disk: number }>(
    `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS wal,
            (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
              WHERE c.relnamespace IN ('public'::regnamespace, to_regnamespace('cutover')) AND c.relkind = 'r')::float8 AS disk`,
  );
  return rows[0] ?? { wal: 0, disk: 0 };
}
