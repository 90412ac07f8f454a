import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listExceptions } from '../../src/db/exceptions.ts';
import { listLog } from '../../src/db/migration-log.ts';
import { listEvents } from '../../src/db/run-events.ts';
import type { PlanInput } from '../../src/plan/schema.ts';
import { approval, backfill, PEOPLE, plan, schema } from '../fixtures/people.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { APPROVER, type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

type VerifyInput = Extract<PlanInput['phases'][number], { kind: 'verify' }>;

const { where: _, ...rest } = backfill;
const fill = { ...rest, pending: 'full_name IS NULL' };
const verify: VerifyInput = {
  kind: 'verify',
  name: 'check',
  backfill: 'fill',
  batchSize: 100,
  parallelism: 2,
};

let system: System;
beforeEach(async () => {
  system = await startSystem({ setup: PEOPLE });
});
afterEach(() => system.close());

/** Runs a plan up to an approval after its backfill, so that rows can be tampered with before they are verified. */
async function upToVerify(name: string, over: Partial<VerifyInput> = {}) {
  const run = await system.start(plan(name, schema, fill, approval, { ...verify, ...over }));
  await run.reaches('awaiting_approval');
  return run;
}
const tamper = async (sql: string) => {
  await system.target.query(sql);
};
const wrong = async () => {
  const { rows } = await system.target.query(
    `SELECT id FROM people WHERE full_name IS DISTINCT FROM first || ' ' || last ORDER BY id`,
  );
  return rows.map(({ id }) => Number(id));
};

describe('a verification that repairs', () => {
  it('leaves every row as its transform makes it, and says what it has done', async () => {
    const run = await upToVerify('repairs');
    await tamper(`UPDATE people SET full_name = 'nobody' WHERE id IN (1, 500, 1000)`);
    await tamper(`INSERT INTO people (first, last) VALUES ('New', 'Comer')`);
    await run.command('approve', APPROVER);
    await run.reaches('completed');

    expect(await wrong()).toEqual([]);
    const phase = await run.phase('check');
    expect(phase).toMatchObject({
      state: 'completed',
      summary: '1001 rows: 997 equal, 4 repaired',
      progress: { counts: { processed: 1001, migrated: 1001, failed: 0 } },
    });
    const [entry] = await listLog(system.db, { runId: run.id, action: 'verify', limit: 10 });
    expect(entry).toMatchObject({
      phase: 'check',
      tableName: 'people',
      performedBy: 'olga',
      processed: 1001,
      succeeded: 1001,
      failed: 0,
      outcome: '1001 rows: 997 equal, 4 repaired',
      finishedAt: expect.any(Date),
    });
    const told = (await listEvents(system.db, run.id, 0)).find(({ data }) => 'verification' in data);
    expect(told).toMatchObject({
      message: 'verified "fill": 1001 rows: 997 equal, 4 repaired',
      data: { verification: { checked: 1001, repaired: 4, differing: 0 } },
    });
  });

  it('is undone with its backfill', async () => {
    const before = await fingerprint(system.target);
    const run = await system.start(
      plan('undone', schema, fill, approval, verify, { ...approval, name: 'end' }),
    );
    await run.reaches('awaiting_approval');
    await tamper(`UPDATE people SET full_name = 'nobody' WHERE id = 7`);
    await run.command('approve', APPROVER);
    await until(async () => (await run.phase('end'))?.state === 'running', { what: 'the second approval' });
    await run.command('rollback');
    await run.reaches('rolled_back');
    expect(await fingerprint(system.target)).toEqual(before);
    expect(await run.phase('fill')).toMatchObject({ summary: '1000 rows restored' });
    expect(await run.phase('check')).toMatchObject({ summary: 'nothing to undo' });
  });
});

describe('a verification that fails with what differs', () => {
  it('lists the rows, and passes when it is tried again after they were put right', async () => {
    const run = await upToVerify('fails', { onDrift: 'fail', onFailure: 'hold' });
    await tamper(`UPDATE people SET full_name = 'nobody' WHERE id IN (3, 999)`);
    await run.command('approve', APPROVER);
    const held = await run.reaches('held');
    expect(held.reason).toContain('2 of 1000 rows differ from what the transform makes of them');
    expect(await wrong()).toEqual([3, 999]);
    const listed = async (status: 'open' | 'replayed') =>
      (await listExceptions(system.db, run.id, { kind: 'differs', status, limit: 10 })).map(
        ({ key, phase, reason }) => ({ key, phase, reason }),
      );
    expect(await listed('open')).toEqual([
      { key: '["3"]', phase: 'fill', reason: `"full_name" is nobody, and should be First3 Last3` },
      { key: '["999"]', phase: 'fill', reason: `"full_name" is nobody, and should be First999 Last999` },
    ]);
    const [entry] = await listLog(system.db, { runId: run.id, action: 'verify', limit: 10 });
    expect(entry).toMatchObject({ processed: 1000, failed: 2, outcome: '1000 rows: 998 equal, 2 differing' });

    await tamper(`UPDATE people SET full_name = first || ' ' || last WHERE id = 3`);
    await run.command('resume');
    const attempts = () => listLog(system.db, { runId: run.id, action: 'verify', limit: 10 });
    await until(async () => (await attempts()).filter(({ finishedAt }) => finishedAt).length === 2, {
      what: 'the end of the second attempt',
    });
    await run.reaches('held');
    expect(await listed('open')).toMatchObject([{ key: '["999"]' }]);
    expect(await listed('replayed')).toMatchObject([{ key: '["3"]' }]);

    await tamper(`UPDATE people SET full_name = first || ' ' || last WHERE id = 999`);
    await run.command('resume');
    await run.reaches('completed');
    expect(await listed('open')).toEqual([]);
    expect(await run.phase('check')).toMatchObject({ summary: '1000 rows: 1000 equal' });
  });

  it('rolls the run back, unless the plan says otherwise', async () => {
    const before = await fingerprint(system.target);
    const run = await upToVerify('rolls-back', { onDrift: 'fail' });
    await tamper(`UPDATE people SET full_name = NULL WHERE id = 3`);
    await run.command('approve', APPROVER);
    expect((await run.reaches('rolled_back')).reason).toContain('1 of 1000 rows differs from what');
    // Column and index are gone, and with them the row that differs.
    expect(await fingerprint(system.target)).toEqual(before);
  });
});

describe('a verification that is interrupted', () => {
  /** Takes as long per row as its table says. */
  const BRAKE = [
    'CREATE TABLE brake (seconds float8)',
    'INSERT INTO brake VALUES (0)',
    `CREATE FUNCTION brake() RETURNS text LANGUAGE sql VOLATILE AS
       $$ SELECT left(pg_sleep(seconds)::text, 0) FROM brake $$`,
  ];
  const slow = {
    ...fill,
    transform: { kind: 'sql', set: { full_name: `first || ' ' || last || brake()` } },
  } as const;
  const checked = async () => {
    const { rows } = await system.target.query(
      `SELECT coalesce(sum(processed), 0)::int AS checked FROM cutover.range
        WHERE backfill = (SELECT id FROM cutover.verification)`,
    );
    return rows[0].checked;
  };
  const brake = (seconds: number) => system.target.query('UPDATE brake SET seconds = $1', [seconds]);

  it('stops when the run is paused, and goes on where it was, also on another worker', async () => {
    for (const statement of BRAKE) await system.target.query(statement);
    const run = await system.start(plan('interrupted', schema, slow, approval, { ...verify, batchSize: 10 }));
    await run.reaches('awaiting_approval');
    await tamper(`UPDATE people SET full_name = 'nobody' WHERE id IN (1, 1000)`);
    await brake(0.01);
    await run.command('approve', APPROVER);
    await until(async () => (await run.phase('check'))?.state === 'running', { what: 'the verification' });
    await until(async () => (await checked()) > 100, { what: 'some chunks' });
    await run.command('pause');
    await until(
      async () => {
        const { rows } = await system.target.query(
          'SELECT count(*)::int AS held FROM cutover.range WHERE lane IS NOT NULL AND NOT done',
        );
        return rows[0].held === 0;
      },
      { what: 'all ranges let go' },
    );
    const before = await checked();
    expect(before).toBeLessThan(1000);
    const outcome = async () =>
      (await listLog(system.db, { runId: run.id, action: 'verify', limit: 1 }))[0]?.outcome ?? undefined;
    expect(await until(outcome, { what: 'how far it came' })).toMatch(/^interrupted after \d+ rows: /);
    await system.stopWorker();
    await brake(0);
    await system.startWorker();
    expect(await checked()).toBe(before);
    await run.command('resume');
    await run.reaches('completed');
    expect(await run.phase('check')).toMatchObject({ summary: '1000 rows: 998 equal, 2 repaired' });
    expect(await outcome()).toBe('1000 rows: 998 equal, 2 repaired');
  });
});
