import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { concurrentWork } from '../../../src/targets/postgres/concurrent-work.ts';
import {
  applyStatements,
  type SchemaChange,
  type SchemaChangeOptions,
} from '../../../src/targets/postgres/schema-change.ts';
import { until } from '../../support/until.ts';
import { type Fixture, holdLock, startFixture } from './fixture.ts';

let fixture: Fixture;
beforeEach(async () => {
  fixture = await startFixture();
  await fixture.sql('CREATE TABLE campaign (id int PRIMARY KEY, name text)');
  await fixture.sql(`INSERT INTO campaign SELECT n, 'name ' || n FROM generate_series(1, 1000) n`);
});
afterEach(() => fixture.stop());

const CREATE = 'CREATE INDEX CONCURRENTLY campaign_name ON campaign (name)';

function apply(statements: string[], change: Partial<SchemaChange> = {}, options: SchemaChangeOptions = {}) {
  const defaults = { runId: 'run-1', phase: 'expand', lockTimeoutMs: 500, lockAttempts: 20 };
  return applyStatements(fixture.target, { ...defaults, direction: 'up', statements, ...change }, options);
}

const down = (statements = ['SELECT 1']) => apply(statements, { direction: 'down' });

/** Names of the indexes beside the primary key, those that are not valid with a question mark. */
async function indexes(): Promise<unknown[]> {
  const rows = await fixture.sql(
    `SELECT relname || CASE WHEN indisvalid THEN '' ELSE '?' END AS name
       FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
      WHERE indrelid IN (SELECT unnest(ARRAY[oid, reltoastrelid]) FROM pg_class WHERE relname = 'campaign')
        AND relname <> 'campaign_pkey' AND relname !~ '^pg_toast_[0-9]+_index$'
      ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

/** Pids of Cutover's backends that run such a statement, and are waiting. */
async function waiting(statement: string): Promise<unknown[]> {
  const rows = await fixture.sql(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'cutover'
        AND state = 'active' AND wait_event_type = 'Lock' AND query LIKE $1`,
    [`${statement}%`],
  );
  return rows.map(({ pid }) => pid);
}

/** Runs the statement while an old transaction keeps it from ending, and kills its backend there. */
async function killAtWork(statement: string): Promise<void> {
  const old = await holdLock(fixture, 'campaign', 'ROW EXCLUSIVE');
  const work = apply([statement], { lockTimeoutMs: 60_000, lockAttempts: 1 });
  work.catch(() => undefined);
  const pid = await until(async () => (await waiting(statement))[0], {
    what: `${statement} waits for the old transaction`,
  });
  await fixture.sql('SELECT pg_terminate_backend($1)', [pid]);
  await until(async () => (await waiting('DROP INDEX CONCURRENTLY IF EXISTS')).length > 0, {
    what: 'the clean-up waits for the old transaction as well',
  });
  // What clears up dies too: only the record of the statement is left to know of it.
  await fixture.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'cutover'`,
  );
  await expect(work).rejects.toThrow(/terminating connection/);
  await old.release();
}

describe('an index whose building was cut off', () => {
  it('is dropped and built again when the statement is tried again', async () => {
    await killAtWork(CREATE);
    expect(await indexes()).toEqual(['campaign_name?']);
    expect(await apply([CREATE])).toEqual({ applied: 1, skipped: 0 });
    expect(await indexes()).toEqual(['campaign_name']);
  });

  it('is dropped on the way down, though the plan does not say so', async () => {
    await killAtWork(CREATE);
    await down();
    expect(await indexes()).toEqual([]);
  });

  it('keeps the way down waiting while somebody is in the way of dropping it', async () => {
    await killAtWork(CREATE);
    const old = await holdLock(fixture, 'campaign', 'ROW EXCLUSIVE');
    const impatient = { direction: 'down', lockTimeoutMs: 20, lockAttempts: 1 } as const;
    await expect(apply(['SELECT 1'], impatient)).rejects.toThrow(/lock timeout/);
    await old.release();
    await down();
    expect(await indexes()).toEqual([]);
  });

  it('is told of when it has to stay for the moment', async () => {
    const old = await holdLock(fixture, 'campaign', 'ROW EXCLUSIVE');
    await expect(apply([CREATE], { lockTimeoutMs: 20, lockAttempts: 2 })).rejects.toThrow(
      /statement 1 of 1 .*has left the invalid index public\.campaign_name, which could not be dropped yet: .*lock timeout.*The next attempt drops it, or the rollback does/s,
    );
    expect(await indexes()).toEqual(['campaign_name?']);
    await old.release();
    await down();
    expect(await indexes()).toEqual([]);
  });

  it('is waited for in one go as long as other statements are in all their attempts, and delays no reader or writer', async () => {
    const old = await holdLock(fixture, 'campaign', 'ROW EXCLUSIVE');
    const retries: unknown[] = [];
    const work = apply(
      [CREATE],
      { lockTimeoutMs: 100, lockAttempts: 600 },
      { onRetry: (retry) => retries.push(retry) },
    );
    await until(async () => (await waiting(CREATE)).length > 0, { what: 'the build waits' });
    for (let i = 1; i <= 50; i += 1) {
      await fixture.sql('UPDATE campaign SET name = $1 WHERE id = $2', [`renamed ${i}`, i]);
    }
    await until(
      async () =>
        (
          await fixture.sql(
            `SELECT FROM pg_stat_activity WHERE query = $1 AND now() - query_start > interval '300 ms'`,
            [CREATE],
          )
        ).length > 0,
      { what: 'it has waited for three times the timeout of one attempt' },
    );
    await old.release();
    expect(await work).toEqual({ applied: 1, skipped: 0 });
    expect(retries).toEqual([]);
    expect(await indexes()).toEqual(['campaign_name']);
  });
});

describe('an index whose rebuilding was cut off', () => {
  beforeEach(() => fixture.sql('CREATE INDEX campaign_name ON campaign (name)'));

  it.each([
    'REINDEX INDEX CONCURRENTLY campaign_name',
    'REINDEX (VERBOSE, CONCURRENTLY) TABLE campaign',
    'reindex schema concurrently public',
  ])('by %s leaves nothing behind', async (statement) => {
    await killAtWork(statement);
    expect(await indexes()).toEqual(expect.arrayContaining(['campaign_name', 'campaign_name_ccnew?']));
    expect(await apply([statement])).toEqual({ applied: 1, skipped: 0 });
    expect(await indexes()).toEqual(['campaign_name']);
  });

  it('leaves nothing behind on the way down either', async () => {
    await killAtWork('REINDEX TABLE CONCURRENTLY campaign');
    expect((await indexes()).length).toBeGreaterThan(1);
    await down();
    expect(await indexes()).toEqual(['campaign_name']);
  });

  it('leaves alone what somebody else has left', async () => {
    const stranger = await fixture.connect();
    const pid = (await stranger.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
    const old = await holdLock(fixture, 'campaign', 'ROW EXCLUSIVE');
    const theirs = stranger.query('REINDEX INDEX CONCURRENTLY campaign_name').catch(() => undefined);
    await until(async () => (await indexes()).includes('campaign_name_ccnew?'), {
      what: 'theirs has begun',
    });
    await fixture.sql('SELECT pg_terminate_backend($1)', [pid]);
    await theirs;
    await old.release();

    await killAtWork('REINDEX INDEX CONCURRENTLY campaign_name');
    expect(await indexes()).toEqual(['campaign_name', 'campaign_name_ccnew1?', 'campaign_name_ccnew?']);
    await apply(['REINDEX INDEX CONCURRENTLY campaign_name']);
    expect(await indexes()).toEqual(['campaign_name', 'campaign_name_ccnew?']);
  });
});

describe('an index whose dropping was cut off', () => {
  it('is gone after the next attempt, or the way down', async () => {
    const statement = 'DROP INDEX CONCURRENTLY campaign_name';
    for (const settle of [() => apply([statement]), () => down()]) {
      await fixture.sql('CREATE INDEX campaign_name ON campaign (name)');
      await killAtWork(statement);
      expect(await indexes()).toEqual(['campaign_name?']);
      await settle();
      expect(await indexes()).toEqual([]);
      await down();
    }
  });
});

describe('whenever backends are killed while the application writes', () => {
  it('no invalid index outlives the phase or its undo', async () => {
    const stop = new AbortController();
    const application = await fixture.connect();
    onTestFinished(() => stop.abort());
    const writing = (async () => {
      for (let n = 0; !stop.signal.aborted; n += 1) {
        await application.query('UPDATE campaign SET name = $1 WHERE id = $2', [`n ${n}`, 1 + (n % 1000)]);
      }
    })();
    const kill = () =>
      fixture.sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'cutover'`,
      );
    /** As the activity is tried until it is done. */
    const persist = async (statements: string[], direction: 'up' | 'down', kills: number[]) => {
      for (const killAfter of [...kills, undefined]) {
        const timer = killAfter === undefined ? undefined : setTimeout(kill, killAfter);
        const work = apply(statements, { direction });
        if (killAfter === undefined) await work;
        const done = await work.then(
          () => true,
          () => false,
        );
        clearTimeout(timer);
        if (done) return;
      }
    };
    const kills = fc.array(fc.integer({ min: 0, max: 25 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(kills, kills, fc.boolean(), async (killsUp, killsDown, finishUp) => {
        const statements = [CREATE, 'REINDEX TABLE CONCURRENTLY campaign'];
        if (finishUp) await persist(statements, 'up', killsUp);
        else
          await Promise.allSettled([
            apply(statements),
            new Promise((wake) => setTimeout(wake, 8)).then(kill),
          ]);
        if (finishUp) expect(await indexes()).toEqual(['campaign_name']);
        await persist(['DROP INDEX CONCURRENTLY IF EXISTS campaign_name'], 'down', killsDown);
        expect(await indexes()).toEqual([]);
      }),
      { numRuns: 15 },
    );
    stop.abort();
    await writing;
  });
});

describe('statements that work concurrently', () => {
  it.each([
    [
      'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "A b" ON ONLY s.t (x)',
      { kind: 'create', index: 'A b', table: 's.t', ifNotExists: true },
    ],
    ['create index concurrently A on t(x)', { kind: 'create', index: 'a', table: 't', ifNotExists: false }],
    ['DROP INDEX CONCURRENTLY IF EXISTS s."A b"', { kind: 'drop', index: 's."A b"' }],
    ['REINDEX (VERBOSE) INDEX CONCURRENTLY s.i', { kind: 'reindex', scope: 'index', name: 's.i' }],
    ['REINDEX (CONCURRENTLY TRUE) TABLE t', { kind: 'reindex', scope: 'table', name: 't' }],
    ['reindex database concurrently', { kind: 'reindex', scope: 'database', name: '' }],
    ['REINDEX (CONCURRENTLY false) TABLE t', undefined],
    ['REINDEX TABLE t', undefined],
    ['CREATE INDEX a ON t (x)', undefined],
    [`COMMENT ON TABLE t IS 'CREATE INDEX CONCURRENTLY a ON t (x)'`, undefined],
    ['REFRESH MATERIALIZED VIEW CONCURRENTLY v', undefined],
  ])('%s', (statement, expected) => {
    expect(concurrentWork(statement)).toEqual(expected);
  });
});
