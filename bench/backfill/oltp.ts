import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type BenchRow, row } from '../support/report.ts';
import type { DurableRuns } from './temporal.ts';
import { EXPRESSION, planOf, type Workload } from './workload.ts';

const PROCESS = fileURLToPath(new URL('./oltp-process.ts', import.meta.url));
/** Transactions per second: what leaves a small machine room for a backfill, as production is sized. */
const RATE = 200;
/** Long enough that a p99 is more than the disk's mood: 12,000 transactions. */
const WINDOW_MS = 60_000;
const NAIVE_BATCH = 50_000;
/** Over what the application needs by itself, the engine may cost so much of its p99. */
const TOLERATED = 1.2;

type Latencies = { transactions: number; p50: number; p99: number };

/** Latencies of an application at work without a backfill, beside a throttled one, and beside a naive loop. */
export async function benchOltp(
  workload: Workload,
  durable: DurableRuns,
  say: (line: string) => void,
): Promise<BenchRow[]> {
  const measure = async (name: string, beside: () => Promise<unknown>): Promise<Latencies> => {
    await prepare(workload);
    const latencies = await underLoad(workload, beside);
    say(`OLTP ${name}: p50 ${latencies.p50.toFixed(1)} ms, p99 ${latencies.p99.toFixed(1)} ms`);
    return latencies;
  };
  // What the machine does by itself is measured before and after, as it changes with time.
  const before = await measure('without a backfill', () => setTimeout(WINDOW_MS));
  const worker = await durable.startWorker(workload.url);
  const throttled = await measure('beside the throttled engine', () =>
    durable.runFor(throttledPlan(before.p99 * TOLERATED), WINDOW_MS),
  );
  await worker.stop();
  const rate = (await migratedRows(workload)) / (WINDOW_MS / 1_000);
  say(`OLTP: the throttled engine migrated ${Math.round(rate).toLocaleString('en')} rows/s`);
  const after = await measure('without a backfill, again', () => setTimeout(WINDOW_MS));
  const naive = await measure('beside a naive loop', () => naiveLoop(workload));
  const alone = { p50: (before.p50 + after.p50) / 2, p99: (before.p99 + after.p99) / 2 };
  const against = (latencies: Latencies) => ({ ratio: latencies.p99 / alone.p99 });
  return [
    row('OLTP p50, no backfill', alone.p50, 'ms'),
    row('OLTP p99, no backfill', alone.p99, 'ms'),
    row('OLTP p99, no backfill, after against before', after.p99, 'ms', { ratio: after.p99 / before.p99 }),
    row('OLTP p50, engine throttled', throttled.p50, 'ms', { ratio: throttled.p50 / alone.p50 }),
    row('OLTP p99, engine throttled, against no backfill', throttled.p99, 'ms', {
      ...against(throttled),
      goal: '<= 1.3',
    }),
    row('engine throttled by OLTP p99', rate, 'rows/s'),
    row('OLTP p50, naive loop', naive.p50, 'ms', { ratio: naive.p50 / alone.p50 }),
    row('OLTP p99, naive loop, against no backfill', naive.p99, 'ms', against(naive)),
  ];
}

/** Small batches, steered by the application's own latency. */
function throttledPlan(limit: number) {
  return planOf({
    batchSize: 100,
    batchDuration: '10ms',
    maxBatchSize: 1_000,
    throttle: [
      { kind: 'sql', name: 'app-p99', mode: 'steer', sql: 'SELECT ms FROM oltp_p99', limit, unit: 'ms' },
    ],
  });
}

async function migratedRows({ client }: Workload): Promise<number> {
  const { rows } = await client.query('SELECT count(migrated)::float8 AS migrated FROM items');
  return rows[0].migrated;
}

async function prepare(workload: Workload): Promise<void> {
  await workload.reset();
  await workload.client.query('DROP TABLE IF EXISTS oltp_history, oltp_p99');
  await workload.client.query(
    `CREATE TABLE oltp_history (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item bigint, at timestamptz DEFAULT now())`,
  );
  await workload.client.query('CREATE TABLE oltp_p99 AS SELECT 0::float8 AS ms');
}

async function underLoad({ url, rows }: Workload, beside: () => Promise<unknown>): Promise<Latencies> {
  const child = spawn(process.execPath, ['--import', 'tsx', PROCESS, url, String(rows), String(RATE)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  await beside();
  child.stdin.end();
  const [code] = await exited;
  if (code !== 0) throw new Error(`the load ended with ${code}`);
  return JSON.parse(printed) as Latencies;
}

/** What is in many runbooks: find rows that are left, by the column that is still empty, and update them. */
async function naiveLoop({ url }: Workload): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (;;) {
    const { rowCount } = await client.query(
      `UPDATE items SET migrated = ${EXPRESSION}
        WHERE id IN (SELECT id FROM items WHERE migrated IS NULL LIMIT ${NAIVE_BATCH})`,
    );
    if (rowCount === 0) break;
  }
  await client.end();
}
