import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { listExceptions } from '../../src/db/exceptions.ts';
import { listLog } from '../../src/db/migration-log.ts';
import { listEvents } from '../../src/db/run-events.ts';
import { approval, backfill, PEOPLE, plan, schema } from '../fixtures/people.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { OPERATOR, type System, startSystem, type TestRun } from '../support/system.ts';
import { until } from '../support/until.ts';

let system: System;
let before: unknown;
beforeAll(async () => {
  system = await startSystem({ setup: PEOPLE });
});
afterAll(() => system.close());
beforeEach(async () => {
  before = await fingerprint(system.target);
});

const onLanes = { ...backfill, batchSize: 25, maxBatchSize: 25, parallelism: 3 };

/** How many rows still have their new value. */
async function migrated(): Promise<number> {
  const { rows } = await system.target.query('SELECT count(full_name)::int AS n FROM people');
  return rows[0].n;
}

async function undoneEntry(run: TestRun) {
  const log = await listLog(system.db, { runId: run.id, limit: 10 });
  return log.find(({ action }) => action === 'undo');
}

describe('undoing a backfill', () => {
  it('tells beforehand how many rows there are, then how far it is, and what it has left as it was', async () => {
    const run = await system.start(plan('told', schema, onLanes, approval));
    await run.reaches('awaiting_approval');
    await system.target.query("UPDATE people SET full_name = 'somebody else' WHERE id IN (7, 700)");
    await run.command('rollback');
    await run.reaches('rolled_back');

    expect((await run.phase('fill'))?.summary).toBe('998 rows restored, 2 kept as they are');
    const events = (await listEvents(system.db, run.id, 0)).filter(({ phase }) => phase === 'fill');
    const announced = events.findIndex(({ message }) => message === '1000 rows of people to restore');
    expect(events[announced]).toMatchObject({ type: 'note', data: { rows: 1000, exact: true } });
    const progress = events.slice(announced).filter(({ type }) => type === 'progress');
    expect(progress.at(-1)).toMatchObject({
      message: '1000 rows restored',
      data: { counts: { processed: 1000, migrated: 998, skipped: 2 }, estimatedRows: 1000 },
    });
    const kept = await listExceptions(system.db, run.id, { kind: 'kept', limit: 10 });
    expect(kept.map(({ key }) => key).sort()).toEqual(['["7"]', '["700"]']);
    expect(await undoneEntry(run)).toMatchObject({
      succeeded: 998,
      skipped: 2,
      outcome: '998 rows restored, 2 kept',
    });
    expect(await fingerprint(system.target)).toEqual(before);
  });

  it('takes over from lanes that are in the midst of it, and goes on where a worker left it', async () => {
    const run = await system.start(plan('midway', schema, { ...onLanes, lockTimeout: '30s' }));
    await until(async () => (await run.phase('expand'))?.state === 'completed', { what: 'the column' });
    await system.target.query('BEGIN; SELECT FROM people WHERE id = 990 FOR UPDATE');
    await until(async () => (await migrated()) > 500, { what: 'most of the rows' });
    // One lane is held up by the locked row; whatever the others do, the rollback ends them all.
    await run.command('rollback');
    await until(async () => (await run.phase('fill'))?.state === 'undoing', { what: 'the undo' });
    await system.stopWorker();
    await system.startWorker();
    await system.target.query('COMMIT');
    await run.reaches('rolled_back');
    expect(await fingerprint(system.target)).toEqual(before);
  });

  it('waits for rows that the application holds, over any number of workers', async () => {
    const run = await system.start(plan('held-up', schema, { ...onLanes, lockTimeout: '1s' }, approval));
    await run.reaches('awaiting_approval');
    await system.target.query('BEGIN; SELECT FROM people WHERE id IN (1, 500) FOR UPDATE');
    await run.command('rollback');
    // Two batches of 25 have a row that is held.
    await until(async () => (await migrated()) <= 50, { what: 'the restoration of all rows that are free' });
    const details = await until(
      async () => {
        const { raw } = await system.client.workflow.getHandle(`${run.id}/fill/undo`).describe();
        return raw.pendingActivities?.length ? raw.pendingActivities : undefined;
      },
      { what: 'lanes at work' },
    );
    expect(details.map(({ activityType }) => activityType?.name)).toContain('undoBackfillSlice');
    await system.stopWorker();
    await system.startWorker();
    await system.target.query('COMMIT');
    await run.reaches('rolled_back');
    expect((await run.phase('fill'))?.summary).toBe('1000 rows restored');
    expect(await fingerprint(system.target)).toEqual(before);
  });

  it('is held back by the load as the backfill is, which it says, and by people', async () => {
    const sql = 'SELECT error_rate FROM health';
    const probe = { kind: 'sql', name: 'errors', sql, limit: 1, unit: '%', mode: 'stop' } as const;
    const run = await system.start(plan('loaded', schema, { ...onLanes, throttle: [probe] }, approval));
    await run.reaches('awaiting_approval');
    await system.target.query('UPDATE health SET error_rate = 7');
    await run.command('rollback');
    const limiter = await until(
      async () => {
        const phase = await run.phase('fill');
        return phase?.state === 'undoing' ? phase.progress?.limiter : undefined;
      },
      { what: 'the undo is held back' },
    );
    expect(limiter).toMatchObject({ signal: 'errors', effect: 'paused' });
    expect(await migrated()).toBe(1000);
    await run.handle.executeUpdate('throttle', { args: [{ actor: OPERATOR, connections: 1 }] });
    const lanes = async () => {
      const { raw } = await system.client.workflow.getHandle(`${run.id}/fill/undo`).describe();
      return raw.pendingActivities?.length;
    };
    await until(async () => (await lanes()) === 1, { what: 'one lane' });
    await system.target.query('UPDATE health SET error_rate = 0.2');
    await run.reaches('rolled_back');
    expect(await fingerprint(system.target)).toEqual(before);
  });
});
