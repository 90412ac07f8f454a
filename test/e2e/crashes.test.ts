import { join } from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { startPostgres } from '../../src/dev/postgres.ts';
import { startTemporal } from '../../src/dev/temporal.ts';
import { LEDGER, LEDGER_BATCH, LEDGER_ROWS, LEDGER_TRANSFORMS, ledgerPlan } from '../fixtures/ledger.ts';
import { PEOPLE, plan, rollout, schema } from '../fixtures/people.ts';
import { type System, type SystemOptions, startSystem, type TestRun } from '../support/system.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { spawnWorker } from '../support/worker-process.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function system(options: SystemOptions): Promise<System> {
  const started = await startSystem(options);
  cleanups.push(() => started.close());
  return started;
}

const migrated = async (target: pg.Client) => {
  const { rows } = await target.query<{ n: number }>('SELECT count(cents)::int AS n FROM ledger');
  return rows[0]?.n ?? 0;
};

/** Waits until some but not all rows are done, and says how many. */
const underWay = (target: pg.Client, beyond: number) =>
  until(
    async () => {
      const done = await migrated(target);
      if (done === LEDGER_ROWS) throw new Error('the backfill was over before it could be interrupted');
      return done > beyond ? done : undefined;
    },
    { what: `a backfill beyond ${beyond} rows` },
  );

describe('a worker that is killed in the middle of a backfill', () => {
  it.each(['sql', 'registered'] as const)(
    'costs at most one batch per kill, and no row is done twice (%s transform)',
    async (kind) => {
      const app = await system({ setup: LEDGER, transforms: [LEDGER_TRANSFORMS], worker: false });
      const run = await app.start(ledgerPlan('killed', kind));
      const kills = 2;
      let done = 0;
      for (let kill = 0; kill < kills; kill += 1) {
        const worker = spawnWorker(app);
        cleanups.push(() => worker.kill());
        done = await underWay(app.target, done);
        await worker.kill();
      }
      const last = spawnWorker(app);
      cleanups.push(() => last.kill());
      await run.reaches('completed', 90_000);

      const { rows } = await app.target.query(
        `SELECT count(*) FILTER (WHERE writes = 1)::int AS once, (SELECT last_value::int FROM attempts) AS attempts FROM ledger`,
      );
      expect(rows[0].once).toBe(LEDGER_ROWS);
      expect(rows[0].attempts - LEDGER_ROWS).toBeLessThanOrEqual(kills * LEDGER_BATCH);
      expect((await run.phase('cents'))?.summary).toBe(
        `${LEDGER_ROWS} rows: ${LEDGER_ROWS} migrated, 0 skipped, 0 ambiguous, 0 failed`,
      );
    },
    150_000,
  );

  it('is replaced without a gap when it is asked to end', async () => {
    const app = await system({ setup: LEDGER, worker: false });
    const run = await app.start(ledgerPlan('replaced', 'sql'));
    const first = spawnWorker(app);
    cleanups.push(() => first.kill());
    await underWay(app.target, 0);
    expect(await first.terminate()).toBe(0);
    const second = spawnWorker(app);
    cleanups.push(() => second.kill());
    await run.reaches('completed', 90_000);
    const { rows } = await app.target.query(
      'SELECT max(writes)::int AS most, min(writes)::int AS least FROM ledger',
    );
    expect(rows).toEqual([{ most: 1, least: 1 }]);
  }, 120_000);
});

describe('a control database that is away', () => {
  it('does not keep a breach from closing the flag; the run is told when it is back', async () => {
    const app = await system({ setup: PEOPLE });
    const run = await app.start(plan('control-away', schema, rollout), { timeScale: 20_000 });
    const flag = async () => {
      const { rows } = await app.target.query(
        'SELECT enabled, rollout_percentage AS percentage FROM feature_flags',
      );
      return rows[0];
    };
    await until(async () => (await flag()).percentage === 10, { what: 'the first stage' });
    const back = await app.takeControlDatabaseAway();
    await app.target.query('UPDATE health SET error_rate = 4.2');
    await until(async () => (await flag()).enabled === false, { what: 'the closed flag' });
    expect(await flag()).toEqual({ enabled: false, percentage: 0 });
    await back();
    expect((await run.reaches('rolled_back')).reason).toContain('gate "error-rate" breached at');
  }, 90_000);
});

describe('a server that is stopped and started during a run', () => {
  async function ownServers() {
    const directory = temporaryDirectory();
    cleanups.push(() => directory.remove());
    const say = () => {};
    const executable = inject('temporalExecutable');
    const [postgres, temporal] = await Promise.all([
      startPostgres({ dir: join(directory.path, 'postgres'), say }),
      startTemporal({ dir: join(directory.path, 'temporal'), say, executable, environment: process.env }),
    ]);
    cleanups.push(() => Promise.all([postgres.stop(), temporal.stop()]));
    return { postgres, temporal, servers: { postgresUrl: postgres.url, temporalAddress: temporal.address } };
  }

  const completes = async (run: TestRun) => {
    // The control database may be the one that is coming back.
    await until(async () => (await run.run()).finishedAt, {
      deadlineMs: 100_000,
      what: 'the end of the run',
    });
    expect(await run.run()).toMatchObject({ status: 'completed' });
  };

  it('PostgreSQL, target and control database at once: the backfill goes on and is exact', async () => {
    const { postgres, servers } = await ownServers();
    const app = await system({ setup: LEDGER, servers });
    const run = await app.start(ledgerPlan('postgres-restart', 'sql'));
    await underWay(app.target, 0);
    await postgres.stop();
    await postgres.start();
    await completes(run);
    const client = new pg.Client({ connectionString: app.targetUrl });
    cleanups.push(() => client.end());
    await client.connect();
    const { rows } = await client.query(
      'SELECT max(writes)::int AS most, min(writes)::int AS least FROM ledger',
    );
    expect(rows).toEqual([{ most: 1, least: 1 }]);
  }, 150_000);

  it('Temporal: backfill and holds go on', async () => {
    const { temporal, servers } = await ownServers();
    const app = await system({ setup: [...LEDGER, ...PEOPLE], servers });
    const backfill = await app.start(ledgerPlan('temporal-restart', 'sql'));
    const holding = await app.start(plan('holding', schema, rollout), { timeScale: 20_000 });
    await underWay(app.target, 0);
    await until(async () => (await holding.phase('roll-out'))?.state === 'running', { what: 'the rollout' });
    await temporal.stop();
    await temporal.start();
    await Promise.all([completes(backfill), completes(holding)]);
    expect(await migrated(app.target)).toBe(LEDGER_ROWS);
  }, 150_000);
});
