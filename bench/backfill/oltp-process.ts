import { setTimeout } from 'node:timers/promises';
import pg from 'pg';

/*
 * An application at work beside a backfill, in a process of its own: short transactions at a steady rate, whether or not
 * the one before has ended, so that a slow moment is felt by all who come in it. Ends when its input does, and prints the
 * latencies in milliseconds as JSON.
 */

const [url = '', rows = '0', rate = '0'] = process.argv.slice(2);
const CLIENTS = 8;
/** How much of the recent past the probe looks at; a p99 of fewer transactions is mostly chance. */
const PROBE_WINDOW_MS = 10_000;

const pool = new pg.Pool({ connectionString: url, max: CLIENTS, application_name: 'oltp' });
const probe = new pg.Client({ connectionString: url, application_name: 'oltp probe' });
const latencies: { at: number; ms: number }[] = [];
let ended = false;

/** As pgbench's: read a row, change a row, note it. */
async function transaction(due: number): Promise<void> {
  const id = 1 + Math.floor(Math.random() * Number(rows));
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query({ name: 'read', text: 'SELECT payload FROM items WHERE id = $1', values: [id] });
    await client.query({
      name: 'write',
      text: 'UPDATE items SET touched = touched + 1 WHERE id = $1',
      values: [id],
    });
    await client.query({ name: 'note', text: 'INSERT INTO oltp_history (item) VALUES ($1)', values: [id] });
    await client.query('COMMIT');
  } finally {
    client.release();
  }
  latencies.push({ at: performance.now(), ms: performance.now() - due });
}

function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Tells the database how the application fares, as monitoring would. */
async function publish(): Promise<void> {
  while (!ended) {
    const since = performance.now() - PROBE_WINDOW_MS;
    const recent = latencies.filter(({ at }) => at >= since).map(({ ms }) => ms);
    await probe.query('UPDATE oltp_p99 SET ms = $1', [quantile(recent, 0.99)]);
    await setTimeout(500);
  }
}

await probe.connect();
const probing = publish();
process.stdin.on('end', () => {
  ended = true;
});
process.stdin.resume();
const under = new Set<Promise<void>>();
const began = performance.now();
for (let sent = 0; !ended; sent += 1) {
  const due = began + (sent * 1_000) / Number(rate);
  const ahead = due - performance.now();
  if (ahead > 1) await setTimeout(ahead);
  const one = transaction(due).finally(() => under.delete(one));
  under.add(one);
}
await Promise.all(under);
await probing;
await probe.end();
await pool.end();
const all = latencies.map(({ ms }) => ms);
process.stdout.write(
  JSON.stringify({ transactions: all.length, p50: quantile(all, 0.5), p99: quantile(all, 0.99) }),
);
