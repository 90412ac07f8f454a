import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { drainSync } from '../../../src/engine/sync/drain.ts';
import { finishSync, removeSync } from '../../../src/engine/sync/finish.ts';
import { installSync } from '../../../src/engine/sync/install.ts';
import { backfillOf } from '../../../src/engine/sync/job.ts';
import { tendSync } from '../../../src/engine/sync/tend.ts';
import { forgetRun } from '../../../src/targets/postgres/own-schema.ts';
import { fingerprint } from '../../support/fingerprint.ts';
import { until } from '../../support/until.ts';
import { type Bench, openBench, phaseOf, runToEnd } from '../harness.ts';
import { connectApplication, noted, syncOf } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.sql('DROP SCHEMA IF EXISTS cutover CASCADE');
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int)');
  await bench.sql(`INSERT INTO t (id, old) SELECT n, n FROM generate_series(1, 100) n`);
});

const fill = phaseOf('t', { transform: { kind: 'sql', set: { new: 'old::int' } } });

/** Does the work while a transaction has the table, and tells how long others waited for the table at most. */
async function behindLongTransaction(lock: string, work: () => Promise<unknown>): Promise<number> {
  const [holder, bystander] = [await connectApplication(bench), await connectApplication(bench)];
  let longest = 0;
  let over = false;
  try {
    await holder.query('BEGIN');
    await holder.query(lock);
    const watching = (async () => {
      while (!over) {
        const started = performance.now();
        await bystander.query(`UPDATE t SET old = '7' WHERE id = 100`);
        longest = Math.max(longest, performance.now() - started);
      }
    })();
    await work();
    over = true;
    await watching;
  } finally {
    over = true;
    await holder.end();
    await bystander.end();
  }
  return longest;
}

describe('a long transaction', () => {
  const job = syncOf(fill, { lockTimeout: '150ms', lockAttempts: 3 });
  // A statement that queues behind the lock waits for at most one attempt; the rest is the machine's own slowness.
  const LIMIT_MS = 150 + 500;

  it('keeps a sync from being installed, but others wait no longer than the lock timeout', async () => {
    const retries: number[] = [];
    const waited = await behindLongTransaction(`UPDATE t SET old = '1' WHERE id = 1`, () =>
      expect(
        installSync(bench.target, job, { onRetry: ({ attempt }) => retries.push(attempt) }),
      ).rejects.toMatchObject({
        name: 'LocksNotFree',
        message: expect.stringContaining('the lock on t was not free in 3 attempts of up to 150ms'),
      }),
    );
    expect(retries).toEqual([1, 2]);
    expect(waited).toBeGreaterThan(100);
    expect(waited).toBeLessThan(LIMIT_MS);
    expect(await bench.sql(`SELECT FROM pg_trigger WHERE tgname LIKE '%cutover%'`)).toEqual([]);
    expect(await bench.sql(`SELECT FROM pg_proc WHERE pronamespace = 'cutover'::regnamespace`)).toEqual([]);
    expect(await installSync(bench.target, job)).toBe('new');
  });

  it('keeps a sync from being ended, but nothing is lost and others wait no longer', async () => {
    const ending = syncOf(fill, { mode: 'capture', lockTimeout: '150ms', lockAttempts: 3 });
    await installSync(bench.target, ending);
    await runToEnd(bench.target, backfillOf(ending));
    const waited = await behindLongTransaction('SELECT FROM t', () =>
      expect(finishSync(bench.target, ending)).rejects.toThrow('lock timeout'),
    );
    expect(waited).toBeLessThan(LIMIT_MS);
    await bench.sql(`UPDATE t SET old = '9' WHERE id = 9`);
    expect(await finishSync(bench.target, ending)).toMatchObject({ done: true });
    expect(await bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM old::int')).toEqual([]);
  });

  it('keeps a sync from being removed; the removal goes on when it is tried again', async () => {
    await installSync(bench.target, syncOf(fill, { name: 'other' }));
    const removing = { ...job, runId: 'run-remove' };
    await installSync(bench.target, removing);
    await behindLongTransaction('SELECT FROM t', () =>
      expect(removeSync(bench.target, removing)).rejects.toThrow('lock timeout'),
    );
    expect(await removeSync(bench.target, removing)).toBe(true);
    expect(await removeSync(bench.target, removing)).toBe(false);
    expect(await bench.sql(`SELECT FROM pg_trigger WHERE tgname LIKE '%cutover%'`)).toHaveLength(1);
  });
});

describe('installing and removing', () => {
  it('at the same time from several workers happens once', async () => {
    const job = syncOf(fill);
    const installed = await Promise.all(Array.from({ length: 4 }, () => installSync(bench.target, job)));
    expect(installed.sort()).toEqual(['kept', 'kept', 'kept', 'new']);
    expect(await bench.sql(`SELECT FROM pg_trigger WHERE tgname LIKE '%cutover%'`)).toHaveLength(1);
    const removed = await Promise.all(Array.from({ length: 4 }, () => removeSync(bench.target, job)));
    expect(removed).toContain(true);
    await expect(installSync(bench.target, job)).rejects.toThrow('was removed');
  });

  it('leaves nothing behind, under names of any length', async () => {
    await bench.sql('DROP SCHEMA IF EXISTS cutover CASCADE');
    const client = await connectApplication(bench);
    try {
      const before = await fingerprint(client);
      const long = 'a-phase-of-sixty-three-letters-as-long-as-it-can-be-and-no-more';
      const jobs = [
        syncOf(fill, { name: long }),
        syncOf(fill, { name: `${long.slice(0, -1)}x`, mode: 'capture' }),
        syncOf(fill, { name: 'watched', mode: 'application' }),
      ];
      for (const job of jobs) await installSync(bench.target, job);
      const names = await bench.sql<{ name: string }>(
        `SELECT tgname AS name FROM pg_trigger WHERE tgname LIKE '%cutover%'`,
      );
      expect(names).toHaveLength(3);
      for (const job of jobs) {
        await removeSync(bench.target, job);
        await bench.target.transaction({}, (session) => forgetRun(session, job.runId));
      }
      expect(await fingerprint(client)).toEqual(before);
    } finally {
      await client.end();
    }
  });

  it('a run that is forgotten too early does not break the application', async () => {
    const job = syncOf(fill, { mode: 'capture' });
    await installSync(bench.target, job);
    await bench.target.transaction({}, (session) => forgetRun(session, job.runId));
    await bench.sql(`UPDATE t SET old = '10' WHERE id = 9`);
    expect(await noted(bench)).toEqual([['9']]);
  });
});

describe('draining', () => {
  it('never waits for the application, nor the application for notes of the same key', async () => {
    const job = syncOf(fill, { mode: 'capture' });
    await installSync(bench.target, job);
    await runToEnd(bench.target, backfillOf(job));
    const [one, two] = [await connectApplication(bench), await connectApplication(bench)];
    try {
      await one.query(`UPDATE t SET old = '50' WHERE id IN (1, 2)`);
      await one.query(`BEGIN; UPDATE t SET old = '60' WHERE id = 1`);
      expect(await drainSync(bench.target, job)).toMatchObject({ keys: 1, busy: 1 });
      await two.query(`UPDATE t SET old = '70' WHERE id = 2`);
      await one.query('COMMIT');
      expect(await drainSync(bench.target, job)).toMatchObject({ keys: 2, busy: 0 });
    } finally {
      await one.end();
      await two.end();
    }
    expect(await bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM old::int')).toEqual([]);
  });

  it('stops at once when it is cancelled, and loses nothing', async () => {
    const job = syncOf(fill, { mode: 'capture' });
    await installSync(bench.target, job);
    await runToEnd(bench.target, backfillOf(job));
    const stop = new AbortController();
    const tending = tendSync(bench.target, job, {
      signal: stop.signal,
      intervalMs: 60_000,
      paused: false,
      known: [],
      repair: true,
    });
    await bench.sql(`UPDATE t SET old = '5' WHERE id <= 50`);
    await until(async () => (await noted(bench)).length === 0, { what: 'an empty queue' });
    stop.abort(new Error('paused'));
    await expect(tending).rejects.toThrow('paused');
    expect(await bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM old::int')).toEqual([]);
  });
});
