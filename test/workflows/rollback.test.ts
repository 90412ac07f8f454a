import { afterEach, describe, expect, it } from 'vitest';
import { listLog } from '../../src/db/migration-log.ts';
import { backfill, backup, PEOPLE, plan, schema } from '../fixtures/people.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { type System, type SystemOptions, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

let system: System;
afterEach(() => system.close());
const start = async (options: Partial<SystemOptions> = {}) => {
  system = await startSystem({ setup: PEOPLE, ...options });
};

describe('a rollback gets to its end', () => {
  it.each([
    ['is taken by another table', 'people_old'],
    ['is none that a table can have', 'people-old'],
  ])('also when the name of the backup %s', async (_, as) => {
    await start();
    await system.target.query('CREATE TABLE people_old AS SELECT 1 AS other');
    const before = await fingerprint(system.target);
    const run = await system.start(plan('name', schema, { ...backup, tables: [{ table: 'people', as }] }));
    expect((await run.reaches('rolled_back')).reason).toContain('"backup"');
    expect((await run.phase('backup'))?.summary).toBe('no backup had been made');
    expect(await fingerprint(system.target)).toEqual(before);
  });

  it('also when it was asked for while preflight could not reach the target', async () => {
    await start({ workerTargetUrl: 'postgresql://nobody@127.0.0.1:1/none' });
    const run = await system.start(plan('unreachable', backup));
    await run.reaches('running');
    await run.command('rollback');
    await run.reaches('rolled_back');
    expect(await run.handle.result()).toMatchObject({ status: 'rolled_back' });
    expect((await run.phases()).map(({ state }) => state)).toEqual(['pending']);
  });
});

describe('lock attempts', () => {
  it('are all that a schema change makes; then the run is rolled back', async () => {
    await start();
    await system.target.query('BEGIN; LOCK TABLE people IN ACCESS SHARE MODE');
    const run = await system.start(plan('locked', { ...schema, lockTimeout: '20ms', lockAttempts: 2 }));
    const { reason } = await run.reaches('rolled_back');
    await system.target.query('ROLLBACK');
    expect(reason).toMatch(/"expand": statement 1 of 2 \(its locks were not free in 2 attempts/);
  });

  it('are not counted on the way back, which goes on until the locks are free', async () => {
    await start();
    const limits = { lockTimeout: '20ms', lockAttempts: 1 };
    const run = await system.start(
      plan(
        'locked-back',
        { ...schema, ...limits },
        { ...backup, tables: [{ table: 'people', as: 'people-old' }], onFailure: 'hold' },
      ),
    );
    await run.reaches('held');
    await system.target.query('BEGIN; LOCK TABLE people IN ACCESS SHARE MODE');
    await run.command('rollback');
    const undoing = system.client.workflow.getHandle(`${run.id}/expand/undo`);
    await until(
      async () => {
        const { raw } = await undoing.describe().catch(() => ({ raw: undefined }));
        return raw?.pendingActivities?.some(({ attempt }) => (attempt ?? 0) > 1);
      },
      { what: 'a second attempt at the schema change back' },
    );
    await system.target.query('ROLLBACK');
    await run.reaches('rolled_back');
  });
});

describe('the migration log', () => {
  it('tells of a backfill that was undone before its end how far it had come', async () => {
    await start();
    const broken = {
      ...backfill,
      transform: { kind: 'sql' as const, set: { full_name: '(1 / (id - 555))::text' } },
      batchSize: 100,
      maxBatchSize: 100,
      errorBudget: { rows: 0, share: 0 },
    };
    const run = await system.start(plan('half-way', schema, broken));
    await run.reaches('rolled_back');
    const [undo, half] = await listLog(system.db, { runId: run.id, limit: 10 });
    expect(undo).toMatchObject({ action: 'undo', outcome: '599 rows restored, 0 kept' });
    expect(half).toMatchObject({
      action: 'backfill',
      processed: 600,
      succeeded: 599,
      failed: 1,
      outcome: 'interrupted',
    });
    expect(half?.finishedAt).toBeInstanceOf(Date);
  });
});
