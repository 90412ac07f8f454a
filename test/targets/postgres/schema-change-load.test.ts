import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { applyStatements } from '../../../src/targets/postgres/schema-change.ts';
import { until } from '../../support/until.ts';
import { type Fixture, holdLock, startFixture } from './fixture.ts';

let fixture: Fixture;
beforeEach(async () => {
  fixture = await startFixture();
  await fixture.sql('CREATE TABLE campaign (id int PRIMARY KEY, name text)');
  await fixture.sql(`INSERT INTO campaign SELECT n, 'name ' || n FROM generate_series(1, 1000) n`);
});
afterEach(() => fixture.stop());

const LOCK_TIMEOUT_MS = 200;
/** What a busy test machine adds to a wait. */
const NOISE_MS = 800;

/** Users who read and write one row after the other; `slowest` is the longest that one of them waited, in ms. */
async function startUsers(count: number) {
  const stop = new AbortController();
  const seen = { slowest: 0, done: 0 };
  const clients = await Promise.all(Array.from({ length: count }, () => fixture.connect()));
  const working = clients.map(async (client, user) => {
    for (let n = 0; !stop.signal.aborted; n += 1) {
      const id = 1 + ((n * count + user) % 1000);
      const begun = performance.now();
      await (n % 2 === 0
        ? client.query('SELECT name FROM campaign WHERE id = $1', [id])
        : client.query('UPDATE campaign SET name = $2 WHERE id = $1', [id, `name ${n}`]));
      seen.slowest = Math.max(seen.slowest, performance.now() - begun);
      seen.done += 1;
      await pause(2);
    }
  });
  return {
    seen,
    stop: async () => {
      stop.abort();
      await Promise.all(working);
    },
  };
}

function apply(statement: string) {
  return applyStatements(fixture.target, {
    runId: 'run-1',
    phase: 'expand',
    direction: 'up',
    statements: [statement],
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    lockAttempts: 100,
  });
}

test.each([
  ['waits for its table', 'ALTER TABLE campaign ADD COLUMN config jsonb', 'campaign'],
  [
    'has locked its table and waits for another',
    'ALTER TABLE campaign ADD COLUMN owner int REFERENCES owner',
    'owner',
  ],
  [
    'has locked another and waits for the one in use',
    'ALTER TABLE owner ADD COLUMN campaign int REFERENCES campaign',
    'campaign',
  ],
])(
  'behind a long transaction, an ALTER that %s holds nobody up for longer than its lock_timeout',
  async (...given) => {
    const [, alter, held] = given;
    await fixture.sql('CREATE TABLE owner (id int PRIMARY KEY)');
    const users = await startUsers(4);
    // Long against the timeout: without it, everybody would wait for as long as this.
    const report = await holdLock(fixture, held, 'ROW EXCLUSIVE');
    let ended = false;
    const change = apply(alter).finally(() => {
      ended = true;
    });
    change.catch(() => undefined);
    const before = users.seen.done;
    await pause(15 * LOCK_TIMEOUT_MS);
    expect(ended).toBe(false);
    expect(users.seen.done).toBeGreaterThan(before + 20);
    await report.release();
    expect(await change).toEqual({ applied: 1, skipped: 0 });
    await users.stop();
    expect(users.seen.slowest).toBeLessThan(LOCK_TIMEOUT_MS + NOISE_MS);
  },
);

test('an ALTER that is stopped while it waits leaves the queue at once', async () => {
  const users = await startUsers(2);
  const report = await holdLock(fixture, 'campaign', 'ACCESS SHARE');
  const stop = new AbortController();
  const change = applyStatements(
    fixture.target,
    {
      runId: 'run-1',
      phase: 'expand',
      direction: 'up',
      statements: ['ALTER TABLE campaign ADD COLUMN config jsonb'],
      lockTimeoutMs: 60_000,
      lockAttempts: 1,
    },
    { signal: stop.signal },
  );
  change.catch(() => undefined);
  await until(
    async () =>
      (
        await fixture.sql(
          `SELECT FROM pg_stat_activity WHERE query LIKE 'ALTER%' AND wait_event_type = 'Lock' AND datname = current_database()`,
        )
      ).length > 0,
    { what: 'the ALTER waits' },
  );
  stop.abort(new Error('paused'));
  await expect(change).rejects.toThrow('paused');
  const before = users.seen.done;
  await until(() => users.seen.done > before + 20, { what: 'the users go on' });
  await report.release();
  await users.stop();
});
