import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listEvents } from '../../src/db/run-events.ts';
import { approval, PEOPLE, type backfill as PeopleBackfill, plan, schema } from '../fixtures/people.ts';
import { OPERATOR, type System, startSystem, type TestRun } from '../support/system.ts';
import { until } from '../support/until.ts';

let system: System;
beforeEach(async () => {
  system = await startSystem({ setup: PEOPLE });
  await system.target.query('CREATE TABLE load (p99 int)');
  await system.target.query('INSERT INTO load VALUES (10)');
});
afterEach(() => system.close());

type Backfill = typeof PeopleBackfill;

/** Takes a quarter of a minute on one connection, in batches that stay small. */
const slow = (more: Partial<Backfill> = {}): Backfill => ({
  kind: 'backfill',
  name: 'fill',
  table: 'people',
  pending: 'full_name IS NULL',
  columns: { full_name: 'text' },
  transform: {
    kind: 'sql',
    set: { full_name: `CASE WHEN pg_sleep(0.015) IS NULL THEN NULL ELSE first END` },
  },
  batchSize: 5,
  maxBatchSize: 5,
  throttle: [],
  ...more,
});

const lanesAtWork = async () => {
  const { rows } = await system.target.query(
    `SELECT count(*)::int AS lanes FROM pg_locks
      WHERE locktype = 'advisory' AND classid = ${0x63757431}
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  return rows[0].lanes as number;
};
const filled = async () => {
  const { rows } = await system.target.query('SELECT count(full_name)::int AS filled FROM people');
  return rows[0].filled as number;
};
const atWork = (lanes: number) =>
  until(async () => (await lanesAtWork()) === lanes, { what: `${lanes} lanes at work` });
const progress = async (run: TestRun) => (await run.phase('fill'))?.progress;
const throttle = (run: TestRun, connections?: number) =>
  run.handle.executeUpdate('throttle', { args: [{ actor: OPERATOR, connections }] });
const loadEvents = async (run: TestRun) =>
  (await listEvents(system.db, run.id, 0))
    .filter(({ type }) => type === 'load')
    .map(({ message }) => message);

describe('throttle', () => {
  it('gives a backfill under way more connections and fewer, and none of its rows is lost or done twice', async () => {
    await system.target.query('ALTER TABLE people ADD COLUMN writes int NOT NULL DEFAULT 0');
    await system.target.query(`CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END $$`);
    await system.target.query(
      'CREATE TRIGGER count_write BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION count_write()',
    );
    // One range would be one lane's.
    await system.target.query(`INSERT INTO people (first) SELECT 'F' FROM generate_series(1, 80000)`);
    await system.target.query('ALTER TABLE people ADD COLUMN full_name text');
    await system.target.query(`UPDATE people SET full_name = 'done', writes = 0 WHERE id > 1000`);
    await system.target.query('ANALYZE people');
    const run = await system.start(plan('throttled', slow({ batchSize: 40, maxBatchSize: 40 })));
    await atWork(1);
    await throttle(run, 3);
    await atWork(3);
    expect(await run.messages()).toContain('throttle to 3 connections by olga');
    await run.command('pause');
    await atWork(0);
    const before = await filled();
    // Also while it is paused.
    await throttle(run, 2);
    await run.command('resume');
    await atWork(2);
    expect(await filled()).toBeGreaterThanOrEqual(before);
    // Lanes that are wanted again while they are still on their way out.
    await throttle(run, 1);
    await throttle(run, 4);
    await atWork(4);
    await run.reaches('completed');
    const { rows } = await system.target.query(
      'SELECT count(*)::int AS wrong FROM people WHERE full_name IS NULL OR (id <= 1000 AND writes <> 1)',
    );
    expect(rows).toEqual([{ wrong: 0 }]);
  });

  it('is refused without a number of connections, and where there is no backfill', async () => {
    const run = await system.start(plan('refused', schema, slow({ where: 'id <= 300' }), approval));
    await atWork(1);
    for (const connections of [undefined, 0, 65, 1.5])
      await expect(throttle(run, connections)).rejects.toMatchObject({
        cause: { message: expect.stringContaining('a whole number of connections from 1 to 64') },
      });
    await run.handle.signal('throttle', { connections: 'many' } as never);
    await until(
      async () => (await run.messages()).some((text) => text.startsWith('throttle by temporal refused')),
      {
        what: 'the signal is refused',
      },
    );
    await throttle(run, 5);
    await run.reaches('awaiting_approval');
    await expect(throttle(run, 2)).rejects.toMatchObject({
      cause: { message: expect.stringContaining('cannot be throttled') },
    });
  });
});

describe('what limits a backfill', () => {
  it('is shown with its progress and told once, as is its end', async () => {
    const probe = {
      kind: 'sql',
      name: 'p99',
      sql: 'SELECT p99 FROM load',
      limit: 100,
      unit: 'ms',
      mode: 'stop',
    };
    const run = await system.start(plan('limited', schema, slow({ throttle: [probe as never] })));
    await until(async () => (await progress(run))?.signals?.length, { what: 'a measurement' });
    expect((await progress(run))?.signals).toEqual([
      { signal: 'p99', mode: 'stop', zone: 'easy', value: 10, limit: 100, reason: 'p99 10 ms, limit 100 ms' },
    ]);
    await system.target.query('UPDATE load SET p99 = 250');
    const limiter = await until(async () => (await progress(run))?.limiter, { what: 'a limiter' });
    expect(limiter).toEqual({ signal: 'p99', effect: 'paused', why: 'paused: p99 250 ms, limit 100 ms' });
    await atWork(0);
    await system.target.query('UPDATE load SET p99 = 20');
    await atWork(1);
    await until(async () => (await progress(run))?.limiter === null, { what: 'no limiter' });
    await run.command('rollback');
    await run.reaches('rolled_back');
    expect(await loadEvents(run)).toEqual([
      'paused: p99 250 ms, limit 100 ms',
      'nothing holds it back any more',
    ]);
  });
});

describe('closed hours', () => {
  it('are waited for by the workflow, which says why; a run that is paused meanwhile does not go on when they end', async () => {
    const minute = 60_000;
    // The next full minute, unless that is so soon that nobody could look before.
    const opening = Math.ceil((Date.now() + 15_000) / minute) * minute;
    const local = (instant: number) => new Date(instant).toISOString().slice(0, 16);
    const run = await system.start(
      plan(
        'closed',
        schema,
        slow({
          parallelism: 2,
          batchSize: 500,
          maxBatchSize: 500,
          transform: { kind: 'sql', set: { full_name: 'first' } },
          blackouts: [
            { from: local(opening - 10 * minute), to: local(opening), timeZone: 'UTC', reason: 'release' },
          ],
        }),
      ),
    );
    const goesOn = `blackout: release; goes on at ${new Date(opening).toISOString()}`;
    await until(async () => (await loadEvents(run)).includes(`waiting: ${goesOn}`), { what: 'it waits' });
    expect((await progress(run))?.closed).toEqual({
      until: new Date(opening).toISOString(),
      why: 'blackout: release',
    });
    const child = system.client.workflow.getHandle(`${run.id}/fill`);
    const metadata = await child.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    expect(JSON.stringify(metadata)).toContain(goesOn);
    await run.command('pause');
    await until(async () => (await loadEvents(run)).includes('its hours have begun; goes on'), {
      what: 'its hours begin',
      deadlineMs: 90_000,
    });
    expect(Date.now()).toBeGreaterThanOrEqual(opening);
    expect(await filled()).toBe(0);
    await run.command('resume');
    await run.reaches('completed');
    expect(await filled()).toBe(1000);
    const { events } = await child.fetchHistory();
    expect(events?.length).toBeLessThan(80);
  }, 150_000);
});
