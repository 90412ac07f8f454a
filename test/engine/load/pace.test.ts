import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import type { BackfillPhase } from '../../../src/domain/plan.ts';
import type { Admission } from '../../../src/engine/backfill/pace.ts';
import { runSlice } from '../../../src/engine/backfill/slice.ts';
import { type LoadPace, openPace, type PaceOptions } from '../../../src/engine/load/pace.ts';
import type { backfillPhase } from '../../../src/plan/schema/backfill.ts';
import { until } from '../../support/until.ts';
import { type Bench, jobOf, openBench, phaseOf } from '../harness.ts';

let bench: Bench;
const closing: (() => unknown)[] = [];
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql(
    'CREATE TABLE t (id int PRIMARY KEY, old text, new text) WITH (autovacuum_enabled = false)',
  );
  await bench.sql(`INSERT INTO t SELECT n, n::text FROM generate_series(1, 2000) AS n`);
});

async function bystander(): Promise<pg.Client> {
  const client = new pg.Client(bench.url);
  client.on('error', () => {});
  await client.connect();
  closing.push(() => client.end());
  return client;
}

type Given = Partial<z.input<typeof backfillPhase>>;

/** A backfill that has begun, without any of its rows done. */
async function begun(given: Given = {}) {
  const job = jobOf(phaseOf('t', { maxBatchSize: 1_000, ...given }));
  await runSlice(bench.target, job, {
    pace: { admit: async () => ({ kind: 'closed', until: new Date(), why: '' }), took() {}, timedOut() {} },
  });
  return job;
}

/** Lanes of the backfill that ask for admission again and again, without any rows to work on. */
async function lanesOf(
  job: { runId: string; phase: BackfillPhase },
  count: number,
  options: Partial<PaceOptions> = {},
) {
  const stop = new AbortController();
  const lanes = Array.from({ length: count }, () => ({
    pace: openPace(bench.target, job, { direction: 'forward', lanes: count, ...options }) as LoadPace,
    last: undefined as Admission | undefined,
  }));
  const running = lanes.map((lane) =>
    bench.target.hold({}, async (held) => {
      while (!stop.signal.aborted) {
        lane.last = await lane.pace.admit(held);
        await delay(20);
      }
      await lane.pace.close();
    }),
  );
  const end = async () => {
    stop.abort();
    await Promise.all(running);
  };
  closing.push(end);
  const going = () => lanes.filter(({ last }) => last?.kind === 'go').length;
  const report = () => lanes.map(({ pace }) => pace.report()).find((found) => found !== undefined);
  return { lanes, going, report, end };
}

const limiter = (lanes: Awaited<ReturnType<typeof lanesOf>>, signal: string, effect = 'paused') =>
  until(
    () => {
      const found = lanes.report()?.limiter;
      return found?.signal === signal && found.effect === effect ? found : undefined;
    },
    { what: `${signal} ${effect}; last ${JSON.stringify(lanes.report()?.limiter)}` },
  );

async function measuredAt({ runId }: { runId: string }): Promise<string | undefined> {
  const rows = await bench.sql<{ at: string }>(
    'SELECT measured_at::text AS at FROM cutover.load WHERE run_id = $1',
    [runId],
  );
  return rows[0]?.at;
}

const allGo = (lanes: Awaited<ReturnType<typeof lanesOf>>, count: number) =>
  until(() => lanes.going() === count, { what: `${count} lanes go` });

describe('without anything in the way', () => {
  it('every lane goes, with the watched signals told and no limiter', async () => {
    const job = await begun({ throttle: undefined });
    const lanes = await lanesOf(job, 3);
    await allGo(lanes, 3);
    expect(lanes.report()).toMatchObject({ limiter: null, change: 0 });
    expect(lanes.report()?.signals.map(({ signal, zone }) => [signal, zone])).toEqual([
      ['replication-lag', 'easy'],
      ['lock-waiters', 'easy'],
      ['archive-backlog', 'easy'],
      ['wraparound-vacuum', 'easy'],
    ]);
  });

  it('batches come to the time that they are to take, and not beyond their largest size', async () => {
    const sizes: number[] = [];
    const job = jobOf(
      phaseOf('t', {
        batchSize: 2,
        maxBatchSize: 400,
        batchDuration: '40ms',
        transform: { kind: 'sql', set: { new: `CASE WHEN pg_sleep(0.001) IS NULL THEN NULL ELSE old END` } },
      }),
    );
    const pace = openPace(bench.target, job, { direction: 'forward', lanes: 1 });
    await runSlice(bench.target, job, {
      pace: {
        admit: async (session) => {
          const admission = await pace.admit(session);
          if (admission.kind === 'go') sizes.push(admission.rows);
          return admission;
        },
        took: (batch) => pace.took(batch),
        timedOut: () => pace.timedOut(),
      },
    });
    await pace.close();
    expect(sizes[0]).toBe(2);
    // A sleep of 1 ms takes more, much more on a machine that is busy; how sizes follow is shown with the controller.
    const later = sizes.slice(20, -1);
    expect(Math.max(...later)).toBeLessThanOrEqual(45);
    expect(Math.max(...later)).toBeGreaterThan(2);
    expect(await bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM old')).toEqual([]);
  });

  it('batches that find few rows to do are sized by the rows that they go through', async () => {
    const job = jobOf(phaseOf('t', { batchSize: 100, maxBatchSize: 500, where: 'id % 100 = 0' }));
    const pace = openPace(bench.target, job, { direction: 'forward', lanes: 1 });
    const sizes: number[] = [];
    const took = pace.took.bind(pace);
    pace.took = (batch) => {
      sizes.push(batch.rows);
      took(batch);
    };
    const { counts } = await runSlice(bench.target, job, { pace });
    await pace.close();
    expect(counts.processed).toBe(20);
    expect(sizes[0]).toBe(100);
    expect(Math.max(...sizes)).toBeGreaterThan(150);
  });
});

describe('a signal', () => {
  it('of lock waiters takes connections away while sessions wait for the table, and says so', async () => {
    const job = await begun({ throttle: [{ kind: 'lock-waiters', limit: 1 }] });
    const lanes = await lanesOf(job, 4);
    await allGo(lanes, 4);
    const [holder, ...waiters] = await Promise.all([bystander(), bystander(), bystander()]);
    await holder.query('BEGIN; LOCK TABLE t');
    const waiting = waiters.map((client) => client.query('SELECT count(*) FROM t'));
    // The table is locked: whoever measured by waiting for it would see nothing.
    const { why } = await limiter(lanes, 'lock-waiters', 'slowed');
    expect(why).toMatch(/^[12] of 4 connections.*: 2 sessions wait for locks on the table, limit 1$/);
    await until(() => lanes.going() <= 2, { what: 'two lanes stand by' });
    expect(lanes.lanes.find(({ last }) => last?.kind === 'stand-by')?.last).toMatchObject({
      why: expect.stringContaining('sessions wait for locks on the table'),
    });
    const paused = await limiter(lanes, 'lock-waiters');
    expect(paused.why).toBe('paused: 2 sessions wait for locks on the table, limit 1');
    expect(lanes.report()?.change).toBe(2);
    await until(() => lanes.going() === 0, { what: 'no lane goes' });
    await holder.query('COMMIT');
    await Promise.all(waiting);
    // Ten seconds of quiet later the first lane goes on.
    await until(() => lanes.going() === 1, { what: 'one lane goes on' });
    expect(lanes.report()?.limiter?.why).toContain('(recovering)');
  });

  it('of a standby that is missed stops everything', async () => {
    const job = await begun({ throttle: [{ kind: 'replication-lag', replicas: 1 }] });
    const lanes = await lanesOf(job, 2);
    expect((await limiter(lanes, 'replication-lag')).why).toBe(
      'paused: replication-lag cannot be measured: 0 standbys are connected, 1 wanted',
    );
    expect(lanes.going()).toBe(0);
  });

  it('that cannot be measured slows an undo down, but does not stop it', async () => {
    const job = await begun({ throttle: [{ kind: 'replication-lag', replicas: 1 }] });
    const lanes = await lanesOf(job, 1, { direction: 'undo' });
    await allGo(lanes, 1);
    expect(await limiter(lanes, 'replication-lag', 'slowed')).toMatchObject({
      why: expect.stringContaining('batches of 1/2 of their size: replication-lag cannot be measured'),
    });
  });

  it('of an old transaction stops until it has ended', async () => {
    const job = await begun({ throttle: [{ kind: 'oldest-xmin', limit: '500ms' }] });
    const lanes = await lanesOf(job, 1);
    await allGo(lanes, 1);
    const old = await bystander();
    await old.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM t LIMIT 1');
    expect((await limiter(lanes, 'oldest-xmin')).why).toMatch(/^paused: oldest transaction .*, limit 500ms$/);
    await until(() => lanes.going() === 0, { what: 'the lane stands by' });
    await old.query('COMMIT');
    await allGo(lanes, 1);
    expect(lanes.report()?.limiter).toBeNull();
  });

  it('of the WAL rate slows down while much is written', async () => {
    const job = await begun({ throttle: [{ kind: 'wal-rate', limit: 10_000_000 }] });
    const lanes = await lanesOf(job, 2);
    await allGo(lanes, 2);
    const writer = await bystander();
    const writing = { go: true };
    const done = (async () => {
      while (writing.go)
        await writer.query(`SELECT pg_logical_emit_message(false, 'test', repeat('x', 500000))`);
    })();
    expect((await limiter(lanes, 'wal-rate', 'slowed')).why).toMatch(
      /^1 of 2 connections.*: WAL .* MB\/s, limit 10 MB\/s/,
    );
    writing.go = false;
    await done;
  });

  it('of dead rows slows down, and lets go once they are removed', async () => {
    await bench.sql('UPDATE t SET new = old');
    await bench.sql('SELECT pg_stat_force_next_flush()');
    const job = await begun({ throttle: [{ kind: 'dead-tuples', limit: 0.4 }] });
    const lanes = await lanesOf(job, 2);
    expect((await limiter(lanes, 'dead-tuples', 'slowed')).why).toContain(
      '50 % of the rows dead, limit 40 %',
    );
    await bench.sql('VACUUM t');
    await until(() => lanes.report()?.limiter === null, { what: 'no limiter', deadlineMs: 50_000 });
  }, 90_000);

  it('of a query and of an HTTP probe is read off the target and off the application', async () => {
    await bench.sql('CREATE TABLE IF NOT EXISTS health (p99 int)');
    await bench.sql('INSERT INTO health VALUES (10)');
    let p99 = 10;
    const server = createServer((_, response) => response.end(JSON.stringify({ latency: { p99 } })));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    closing.push(() => new Promise((done) => server.close(done)));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const job = await begun({
      throttle: [
        { kind: 'sql', name: 'db-p99', sql: 'SELECT p99 FROM health', limit: 100, unit: 'ms' },
        { kind: 'http', name: 'app-p99', url, path: 'latency.p99', limit: 100, unit: 'ms', mode: 'stop' },
      ],
    });
    const lanes = await lanesOf(job, 2);
    await allGo(lanes, 2);
    expect(lanes.report()?.signals.map(({ reason }) => reason)).toEqual([
      'db-p99 10 ms, limit 100 ms',
      'app-p99 10 ms, limit 100 ms',
    ]);
    await bench.sql('UPDATE health SET p99 = 120');
    await limiter(lanes, 'db-p99', 'slowed');
    p99 = 101;
    expect((await limiter(lanes, 'app-p99')).why).toBe('paused: app-p99 101 ms, limit 100 ms');
    server.closeAllConnections();
    server.close();
    await until(() => lanes.report()?.limiter?.why.includes('ECONNREFUSED'), {
      what: 'a refused connection',
    });
    expect(lanes.report()?.limiter?.why).toContain('app-p99 cannot be measured');
  });

  it('that writes is refused, and stops what it would have steered', async () => {
    const job = await begun({
      throttle: [{ kind: 'sql', name: 'writer', sql: 'DELETE FROM t RETURNING id', limit: 1, unit: '' }],
    });
    const lanes = await lanesOf(job, 1);
    expect((await limiter(lanes, 'writer')).why).toContain('the query writes');
    expect(await bench.sql('SELECT FROM t')).toHaveLength(2000);
  });
});

describe('lanes of one backfill', () => {
  it('share one measurement a second, whoever makes it, and go on sharing when that one ends', async () => {
    const asked: number[] = [];
    const server = createServer((_, response) => {
      asked.push(Date.now());
      response.end('{"n": 1}');
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    closing.push(() => new Promise((done) => server.close(done)));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const job = await begun({ throttle: [{ kind: 'http', name: 'probe', url, path: 'n', limit: 10 }] });
    const [first, others] = [await lanesOf(job, 1), await lanesOf(job, 3, { lanes: 4 })];
    await allGo(others, 3);
    await until(() => asked.length >= 4, { what: 'four measurements' });
    await first.end();
    const before = asked.length;
    await until(() => asked.length >= before + 3, { what: 'three more measurements' });
    const gaps = asked.slice(1).map((at, index) => at - (asked[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(900);
  });

  it('go by the number of lanes that those were told that began last, whoever measures', async () => {
    const job = await begun({
      throttle: [{ kind: 'sql', name: 'busy', sql: 'SELECT 1', limit: 1, unit: '' }],
    });
    const later = await lanesOf(job, 3, { lanes: 4, clock: () => 2_000 });
    await limiter(later, 'busy', 'slowed');
    await later.end();
    const measured = await measuredAt(job);
    const earlier = await lanesOf(job, 1, { lanes: 1, clock: () => 1_000 });
    await until(async () => (await measuredAt(job)) !== measured, { what: 'the earlier lane measures' });
    const why = await until(() => earlier.report()?.limiter?.why, { what: 'a limiter' });
    expect(why).toMatch(/^[123] of 4 connections: busy 1, limit 1/);
  });

  it('stand by when nobody has measured for a while, though one has claimed to', async () => {
    const job = await begun();
    const lanes = await lanesOf(job, 1);
    await allGo(lanes, 1);
    await bench.sql(
      `UPDATE cutover.load SET measured_at = now() - interval '16 seconds', measuring_until = now() + interval '3 seconds'
        WHERE run_id = $1`,
      [job.runId],
    );
    const standing = await until(
      () => (lanes.lanes[0]?.last?.kind === 'stand-by' ? lanes.lanes[0].last : undefined),
      { what: 'the lane stands by' },
    );
    expect(standing.why).toMatch(/^paused: the load was measured 1\d s ago for the last time$/);
    // The claim of the lane that is gone has run out by then.
    await allGo(lanes, 1);
  });

  it('take over the size of batches that others have come to', async () => {
    const job = await begun({ batchSize: 10, maxBatchSize: 500, batchDuration: '1s' });
    const run = async (pace: LoadPace) => {
      const sizes: number[] = [];
      await bench.target.hold({}, async (held) => {
        const deadline = Date.now() + 20_000;
        while (Date.now() < deadline && (sizes.at(-1) ?? 0) < 500) {
          const admission = await pace.admit(held);
          if (admission.kind === 'go') {
            sizes.push(admission.rows);
            pace.took({ rows: admission.rows, ms: 1 });
          }
        }
        // The next look tells the others.
        await until(
          async () => {
            await pace.admit(held);
            return (
              await bench.sql(
                `SELECT FROM cutover.load WHERE run_id = $1 AND (state ->> 'batchRows')::int = 500`,
                [job.runId],
              )
            ).length;
          },
          { what: 'the size is shared' },
        );
      });
      await pace.close();
      return sizes;
    };
    const options = { direction: 'forward', lanes: 2 } as const;
    expect((await run(openPace(bench.target, job, options)))[0]).toBe(10);
    const later = openPace(bench.target, job, options);
    const admitted = await bench.target.hold({}, (held) => later.admit(held));
    await later.close();
    expect(admitted).toMatchObject({ kind: 'go', rows: 500 });
  });
});

describe('hours', () => {
  const night = { from: '22:00', to: '06:00', timeZone: 'Europe/Berlin' };

  it('end a slice with the moment at which it may go on', async () => {
    const job = jobOf(phaseOf('t', { windows: [night] }));
    const clock = () => Date.parse('2026-07-01T12:00:00Z');
    const pace = openPace(bench.target, job, { direction: 'forward', lanes: 1, clock });
    const { done, closed, counts } = await runSlice(bench.target, job, { pace });
    await pace.close();
    expect({ done, closed, processed: counts.processed }).toEqual({
      done: false,
      closed: { until: new Date('2026-07-01T20:00:00Z'), why: 'outside 22:00–06:00 Europe/Berlin' },
      processed: 0,
    });
  });

  it('that close on the way end it at the next batch, and a blackout says its reason', async () => {
    const blackout = {
      from: '2026-07-01T23:00',
      to: '2026-07-02T01:00',
      timeZone: 'Europe/Berlin',
      reason: 'release of the app',
    };
    const job = jobOf(phaseOf('t', { windows: [night], blackouts: [blackout] }));
    let now = Date.parse('2026-07-01T20:30:00Z');
    const pace = openPace(bench.target, job, { direction: 'forward', lanes: 1, clock: () => now });
    const took = pace.took.bind(pace);
    pace.took = (batch) => {
      now += 60_000;
      took(batch);
    };
    const { closed, counts } = await runSlice(bench.target, job, { pace });
    expect(closed).toEqual({ until: new Date('2026-07-01T23:00:00Z'), why: 'blackout: release of the app' });
    expect(counts.processed).toBeGreaterThan(0);
    expect(counts.processed).toBeLessThan(2000);
    now = Date.parse('2026-07-01T23:00:00Z');
    expect(await runSlice(bench.target, job, { pace })).toMatchObject({
      done: true,
      counts: { migrated: 2000 },
    });
    await pace.close();
  });
});

it('tells when it will be done, once it has been at work for a while', async () => {
  const job = await begun({ throttle: [] });
  const pace = openPace(bench.target, job, { direction: 'forward', lanes: 1 });
  await bench.target.hold({}, async (held) => {
    for (let rows = 0; !pace.report()?.eta; rows += 15) {
      await pace.admit(held);
      await bench.sql('UPDATE cutover.range SET processed = $2 WHERE run_id = $1 AND number = 0', [
        job.runId,
        rows,
      ]);
      await delay(200);
      if (rows > 1_900) throw new Error('no ETA in all the time');
    }
  });
  await pace.close();
  const { low = 0, high = 0 } = pace.report()?.eta ?? {};
  // About 75 rows a second; the table has 2000.
  expect(low - Date.now()).toBeGreaterThan(-2_000);
  expect(low).toBeLessThanOrEqual(high);
  expect(high - Date.now()).toBeLessThan(60_000);
});
