import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CONTROL_QUEUE } from '../../src/contracts/names.ts';
import { searchAttribute } from '../../src/contracts/search-attributes.ts';
import { UNDO_ROWS_WORKFLOW } from '../../src/contracts/workflow-types.ts';
import { listLog } from '../../src/db/migration-log.ts';
import type { BackfillPhase } from '../../src/domain/plan.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import type { undoRows } from '../../src/workflows/undo-rows.ts';
import {
  approval,
  backfill,
  backup,
  cleanup,
  gate,
  PEOPLE,
  plan,
  rollout,
  schema,
  soak,
  validate,
} from '../fixtures/people.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { APPROVER, OPERATOR, type System, startSystem, type TestRun } from '../support/system.ts';
import { until } from '../support/until.ts';

let system: System;
beforeEach(async () => {
  system = await startSystem({ setup: PEOPLE });
});
afterEach(() => system.close());

const flagState = async () => {
  const { rows } = await system.target.query(
    'SELECT enabled, rollout_percentage AS percentage FROM feature_flags',
  );
  return rows[0];
};
const atStage = (run: TestRun, percentage: number) =>
  until(async () => (await flagState()).percentage === percentage && (await run.run()).status === 'running', {
    what: `stage of ${percentage} %`,
  });

describe('a run that goes well', () => {
  it('goes from schema change to cleanup, and says of each phase what it did', async () => {
    const whole = plan('whole', schema, backup, backfill, validate, approval, rollout, soak, cleanup);
    const run = await system.start(whole);
    await run.reaches('awaiting_approval');
    await run.command('approve', APPROVER);
    await run.reaches('completed');

    const phases = await run.phases();
    expect(phases.map(({ name, state }) => `${name} ${state}`)).toEqual(
      ['expand', 'backup', 'fill', 'verify', 'go-live', 'roll-out', 'soak', 'contract'].map(
        (name) => `${name} completed`,
      ),
    );
    const summaries = Object.fromEntries(phases.map(({ name, summary }) => [name, summary]));
    expect(summaries).toMatchObject({
      expand: '2 statements applied',
      fill: '1000 rows: 1000 migrated, 0 skipped, 0 ambiguous, 0 failed',
      verify: '2 queries passed, 1 informational',
      'go-live': 'approved by anna',
      'roll-out': 'full_name at 10 % → 50 % → 100 %',
      contract: '1 statement applied',
    });
    expect(summaries.backup).toMatch(/people_backup_\d{8}"?: 1000 rows$/);
    expect(await flagState()).toEqual({ enabled: true, percentage: 100 });
    const { rows } = await system.target.query('SELECT count(full_name)::int AS filled FROM people');
    expect(rows).toEqual([{ filled: 1000 }]);
    expect(await run.handle.result()).toMatchObject({ status: 'completed' });
  });

  it('can be read in Temporal alone: search attributes, children by phase and stage', async () => {
    const run = await system.start(plan('readable', schema, rollout));
    await run.reaches('completed');
    const list = async () => {
      const found: string[] = [];
      for await (const { workflowId } of system.client.workflow.list({ query: `CutoverRun = "${run.id}"` })) {
        found.push(workflowId.slice(run.id.length));
      }
      return found.length >= 5 ? found.sort() : undefined;
    };
    const children = await until(list, { what: 'the children in the visibility store' });
    expect(children).toEqual([
      '/expand',
      '/roll-out',
      '/roll-out/100pct',
      '/roll-out/10pct',
      '/roll-out/50pct',
    ]);
    const description = await run.handle.describe();
    expect(description.searchAttributes.CutoverStatus).toEqual(['completed']);
    expect(description.typedSearchAttributes.get(searchAttribute.phase)).toBeUndefined();
  });
});

describe('rolling back', () => {
  it('by command leaves schema and rows as they were, flag at 0 and disabled', async () => {
    const before = await fingerprint(system.target);
    const run = await system.start(plan('undo', schema, backup, backfill, validate, rollout), {
      timeScale: 1,
    });
    await atStage(run, 10);
    await run.command('rollback', OPERATOR, 'trying the way back');
    const ended = await run.reaches('rolled_back');

    expect(ended.reason).toBe('rollback by olga: trying the way back');
    expect(await fingerprint(system.target)).toEqual(before);
    expect((await run.phases()).map(({ name, summary }) => [name, summary])).toEqual([
      ['expand', '2 down statements applied'],
      ['backup', expect.stringMatching(/^dropped people_backup_\d{8}$/)],
      ['fill', '1000 rows restored'],
      ['verify', 'nothing to undo'],
      ['roll-out', 'full_name set to 0 % and disabled'],
    ]);
  });

  it('by a breached gate tells which gate, at which stage, and what was measured', async () => {
    const before = await fingerprint(system.target);
    const run = await system.start(plan('breach', schema, backfill, rollout), { timeScale: 20_000 });
    await atStage(run, 50);
    await system.target.query('UPDATE health SET error_rate = 4.2');
    const ended = await run.reaches('rolled_back');
    expect(ended.reason).toBe('"roll-out": gate "error-rate" breached at 50 %: 4.2%, wanted < 1%');
    await system.target.query('UPDATE health SET error_rate = 0.2');
    expect(await fingerprint(system.target)).toEqual(before);
  });

  it('rolls back by a breach also while the run is paused', async () => {
    const run = await system.start(plan('paused-breach', rollout), { timeScale: 50_000 });
    await atStage(run, 10);
    await run.command('pause');
    await system.target.query('UPDATE health SET error_rate = 4.2');
    expect((await run.reaches('rolled_back')).reason).toContain('breached at 10 %');
  });

  it('after a failed validation names the query and what it found', async () => {
    await system.target.query(`UPDATE people SET last = NULL WHERE id = 7`);
    const before = await fingerprint(system.target);
    const run = await system.start(plan('invalid', schema, backfill, validate));
    const ended = await run.reaches('rolled_back');
    expect(ended.reason).toBe('"verify": query "none-left": 1 row, wanted none');
    expect(await fingerprint(system.target)).toEqual(before);
  });

  it('after an SQL error tells the statement and the server’s words, and undoes what was done before it', async () => {
    const before = await fingerprint(system.target);
    const broken = { ...schema, up: [...schema.up, 'ALTER TABLE people ADD COLUMN full_name text'] };
    const run = await system.start(plan('broken', broken));
    const ended = await run.reaches('rolled_back');
    expect(ended.reason).toContain('statement 3 of 3');
    expect(ended.reason).toContain('column "full_name" of relation "people" already exists');
    expect(await fingerprint(system.target)).toEqual(before);
  });

  it('when it is cancelled from Temporal', async () => {
    const before = await fingerprint(system.target);
    const run = await system.start(plan('cancelled', schema, backfill, rollout), { timeScale: 1 });
    await atStage(run, 10);
    await run.handle.cancel();
    expect((await run.reaches('rolled_back')).reason).toBe('cancelled from Temporal');
    expect(await fingerprint(system.target)).toEqual(before);
  });
});

describe('undoing single rows', () => {
  it('restores the rows of these keys, keeps those that changed since, and names those it does not know', async () => {
    const run = await system.start(plan('by-key', schema, backfill, rollout), { timeScale: 1 });
    await atStage(run, 10);
    await system.target.query(`UPDATE people SET full_name = 'Changed by the application' WHERE id = 8`);
    const phase = parsePlan(plan('by-key', backfill)).phases[0] as BackfillPhase;
    const input = {
      runId: run.id,
      planName: 'by-key',
      target: 'app',
      phase,
      keys: [['7'], ['8'], ['5000']],
      actor: OPERATOR,
    };
    const result = await system.client.workflow.execute<typeof undoRows>(UNDO_ROWS_WORKFLOW, {
      workflowId: `${run.id}/undo-rows`,
      taskQueue: CONTROL_QUEUE,
      args: [input],
    });
    expect(result).toEqual({ restored: [['7']], kept: [['8']], unknown: [['5000']] });
    const { rows } = await system.target.query(
      'SELECT id::int, full_name FROM people WHERE id IN (7, 8, 9) ORDER BY id',
    );
    expect(rows).toEqual([
      { id: 7, full_name: null },
      { id: 8, full_name: 'Changed by the application' },
      { id: 9, full_name: 'First9 Last9' },
    ]);
    expect(await run.messages()).toContain('1 row restored by olga, 1 kept, 1 unknown');
    await run.command('rollback');
    await run.reaches('rolled_back');
  });
});

describe('commands', () => {
  it('pause stops a hold’s clock and resume lets it go on', async () => {
    const run = await system.start(plan('pause', rollout), { timeScale: 50_000 });
    await atStage(run, 10);
    await run.command('pause');
    await run.reaches('paused');
    const measured = async () => (await run.messages()).filter((message) => message.includes('stage')).length;
    expect(await measured()).toBe(0);
    expect((await flagState()).percentage).toBe(10);
    await run.command('resume');
    await run.reaches('completed');
  });

  it('pause interrupts a backfill at a batch border, and resume goes on from there', async () => {
    await system.target.query(`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_sleep(0.005); RETURN NEW; END $$`);
    await system.target.query(
      'CREATE TRIGGER slow BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION slow()',
    );
    const filled = async () => {
      const { rows } = await system.target.query('SELECT count(full_name)::int AS n FROM people');
      return rows[0].n as number;
    };
    const run = await system.start(
      plan('pause-backfill', schema, { ...backfill, batchSize: 20, maxBatchSize: 20 }),
    );
    // Later than the first heartbeat, so that the pause is heard by one of those that follow.
    await until(async () => (await filled()) > 300, { what: 'the batches of more than a second' });
    await run.command('pause');
    await run.reaches('paused');
    const stopped = await until(
      async () => {
        const { pendingActivities } = (await system.client.workflow.getHandle(`${run.id}/fill`).describe())
          .raw;
        return pendingActivities?.length === 0 ? await filled() : undefined;
      },
      { what: 'the interrupted slice' },
    );
    expect(stopped % 20).toBe(0);
    expect(stopped).toBeLessThan(1000);
    // Resume, pause and resume in one breath: the interrupted slice must not be taken for a failure.
    for (const command of ['resume', 'pause', 'resume'] as const) await run.command(command);
    await run.reaches('completed');
    expect(await filled()).toBe(1000);
    expect((await run.phase('fill'))?.summary).toContain('1000 rows: 1000 migrated');
  });

  it('advance ends the present hold early, and only that one', async () => {
    const run = await system.start(plan('advance', rollout), { timeScale: 1 });
    await atStage(run, 10);
    await run.command('advance');
    await atStage(run, 50);
    const stages = (await run.messages()).filter((message) => message.includes('advanced by'));
    expect(stages).toEqual(['10 %: advanced by olga']);
    await run.command('rollback');
    await run.reaches('rolled_back');
  });

  it('are refused with the reason when the state does not take them', async () => {
    const run = await system.start(plan('refused', rollout), { timeScale: 1 });
    await atStage(run, 10);
    await expect(run.command('resume')).rejects.toMatchObject({
      cause: {
        type: 'CommandRefused',
        message: expect.stringContaining('the run is running, so it cannot be resumed'),
        details: [{ state: 'running', role: 'operator' }],
      },
    });
    await run.command('rollback');
    await run.reaches('rolled_back');
  });

  it('come as signals too, and a refused signal leaves a note', async () => {
    const run = await system.start(plan('signals', rollout), { timeScale: 1 });
    await atStage(run, 10);
    await run.handle.signal('approve');
    await until(
      async () => (await run.messages()).some((message) => message.startsWith('approve by temporal refused')),
      {
        what: 'the note of the refused signal',
      },
    );
    // A NUL, which PostgreSQL cannot keep, must not hold the record up for ever.
    await run.handle.signal('rollback', { actor: OPERATOR, reason: 'by\u0000signal' });
    expect((await run.reaches('rolled_back')).reason).toBe('rollback by olga: by\ufffdsignal');
  });
});

describe('approval', () => {
  it('needs as many distinct people as the plan says, none of them the starter', async () => {
    const two = { ...approval, count: 2, roles: ['operator' as const, 'approver' as const] };
    const run = await system.start(plan('four-eyes', two));
    await run.reaches('awaiting_approval');
    await expect(run.command('approve', OPERATOR)).rejects.toMatchObject({
      cause: { message: expect.stringContaining("another person's approval") },
    });
    await run.command('approve', APPROVER);
    await expect(run.command('approve', APPROVER)).rejects.toMatchObject({
      cause: { message: expect.stringContaining('already approved') },
    });
    expect((await run.run()).status).toBe('awaiting_approval');
    await run.command('approve', { name: 'otto', role: 'operator' });
    await run.reaches('completed');
    expect((await run.phase('go-live'))?.summary).toBe('approved by anna, otto');
  });

  it('rolls back when it is rejected', async () => {
    const before = await fingerprint(system.target);
    const run = await system.start(plan('rejected', schema, backfill, approval));
    await run.reaches('awaiting_approval');
    await run.command('reject', APPROVER, 'not today');
    expect((await run.reaches('rolled_back')).reason).toBe('reject by anna: not today');
    expect(await listLog(system.db, { runId: run.id, limit: 10 })).toMatchObject([
      { action: 'undo', performedBy: 'anna', succeeded: 1000 },
      { action: 'backfill', performedBy: 'olga' },
    ]);
    expect(await fingerprint(system.target)).toEqual(before);
  });
});

describe('holding for a person', () => {
  it('tries a failed phase again on resume', async () => {
    await system.target.query(`UPDATE people SET last = NULL WHERE id = 7`);
    const holding = { ...validate, onFailure: 'hold' as const };
    const run = await system.start(plan('held', schema, backfill, holding));
    expect((await run.reaches('held')).reason).toContain('resume tries the phase again');
    await system.target.query(`UPDATE people SET full_name = 'Prince' WHERE id = 7`);
    await run.command('resume');
    await run.reaches('completed');
  });

  it('is all that a failure does past a point of no return', async () => {
    const broken = { ...cleanup, statements: ['ALTER TABLE people DROP COLUMN no_such_column'] };
    const run = await system.start(plan('no-return', schema, rollout, broken));
    const held = await run.reaches('held');
    expect(held.reason).toContain('"contract" is a point of no return');
    await expect(run.command('rollback')).rejects.toMatchObject({
      cause: { message: expect.stringContaining('the run can only go on') },
    });
    await system.target.query('ALTER TABLE people ADD COLUMN no_such_column int');
    await run.command('resume');
    await run.reaches('completed');
  });

  it('drops nothing while the flag is not at 100 %', async () => {
    const guarded = { ...cleanup, after: { flag: { name: 'full_name' }, for: '5d' as const } };
    const run = await system.start(plan('guard', rollout, guarded), { timeScale: 50_000 });
    await atStage(run, 100);
    await until(async () => (await run.phase('contract'))?.state === 'running', {
      what: 'the cleanup waiting',
    });
    await system.target.query('UPDATE feature_flags SET rollout_percentage = 50');
    expect((await run.reaches('held')).reason).toContain('nothing is dropped below 100 %');
    const { rows } = await system.target.query('SELECT sum(weight)::int AS weight FROM people');
    expect(rows).toEqual([{ weight: 1000 }]);
    await run.command('rollback');
    await run.reaches('rolled_back');
  });

  it('holds on, and does not advance, while a gate has nothing to measure', async () => {
    await system.target.query('DELETE FROM health');
    const one = {
      ...rollout,
      stages: [{ percentage: 100, hold: '1d' as const }],
      gates: [{ ...gate, interval: '1d' as const }],
    };
    const run = await system.start(plan('no-data', one), { timeScale: 200_000 });
    await until(
      async () => (await run.messages()).some((message) => message.includes('nothing to measure yet')),
      {
        what: 'a measurement without data',
      },
    );
    expect((await run.run()).status).toBe('running');
    await system.target.query('INSERT INTO health VALUES (0.1)');
    await run.reaches('completed');
  });
});

describe('preflight', () => {
  const refused = async (run: TestRun) => {
    const ended = await run.reaches('failed');
    expect(await fingerprint(system.target)).toEqual(before);
    return ended.reason;
  };
  let before: Awaited<ReturnType<typeof fingerprint>>;
  beforeEach(async () => {
    await system.target.query('CREATE TABLE keyless (a int)');
    before = await fingerprint(system.target);
  });

  it('names every problem at once and leaves the target untouched', async () => {
    const run = await system.start(
      plan(
        'problems',
        { ...schema, up: ['SELECT 1; SELECT 2'] },
        { ...backup, tables: [{ table: 'no_such_table' }] },
        {
          ...backfill,
          table: 'keyless',
          columns: {},
          where: undefined,
          transform: { kind: 'sql', set: { a: '1' } },
        },
        { ...rollout, flag: { name: 'no_such_flag' } },
      ),
    );
    const reason = await refused(run);
    expect(reason).toContain('phases[0].up[0]');
    expect(reason).toContain('the target has no table "no_such_table"');
    expect(reason).toContain('phases[2]');
    expect(reason).toContain('there is no flag "no_such_flag"');
  });

  it('refuses a transform that no worker has registered', async () => {
    const unknown = { ...backfill, transform: { kind: 'registered' as const, name: 'nobody', version: 1 } };
    expect(await refused(await system.start(plan('unregistered', unknown)))).toContain('nobody@1');
  });
});
