import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listEvents } from '../../src/db/run-events.ts';
import type { PlanInput } from '../../src/plan/schema.ts';
import { approval, backfill, cleanup, PEOPLE, plan, rollout, schema } from '../fixtures/people.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { APPROVER, type System, startSystem, type TestRun } from '../support/system.ts';
import { until } from '../support/until.ts';

type PhaseInput = PlanInput['phases'][number];
type SyncInput = Extract<PhaseInput, { kind: 'sync' }>;

const TRANSFORMS = fileURLToPath(new URL('../fixtures/people-transforms.ts', import.meta.url));

const sync: SyncInput = { kind: 'sync', name: 'keep', backfill: 'fill', mode: 'trigger' };
const { where: _, ...rest } = backfill;
const fill = { ...rest, pending: 'full_name IS NULL' };
const registered = { ...fill, transform: { kind: 'registered', name: 'full-name', version: 1 } } as const;

let system: System;
let application: { stop(): Promise<void>; progress(): Promise<void> } | undefined;
beforeEach(async () => {
  system = await startSystem({ setup: PEOPLE, transforms: [TRANSFORMS] });
});
afterEach(async () => {
  await application?.stop();
  application = undefined;
  await system.close();
});

/** An application that writes all the time; `both` says that it knows the new column. */
function startApplication({ both = false } = {}) {
  const pool = new pg.Pool({ connectionString: system.targetUrl, max: 2 });
  let stopped = false;
  let writes = 0;
  const write = async () => {
    while (!stopped) {
      const id = Math.ceil(Math.random() * 1_000);
      const [first, last] = [`F${Math.random()}`, `L${Math.random()}`];
      await pool.query('UPDATE people SET first = $2, last = $3 WHERE id = $1', [id, first, last]);
      if (both) await pool.query(`UPDATE people SET full_name = first || ' ' || last WHERE id = $1`, [id]);
      if (id % 10 === 0) await pool.query('DELETE FROM people WHERE id = $1', [id + 1]);
      if (id % 10 === 1 && !both)
        await pool.query('INSERT INTO people (first, last) VALUES ($1, $2)', [first, last]);
      writes += 1;
    }
  };
  const writers = Promise.all([write(), write()]);
  writers.catch(() => {});
  return {
    progress: async () => {
      const goal = writes + 50;
      await until(() => writes > goal, { what: 'fifty writes of the application' });
    },
    stop: async () => {
      stopped = true;
      await writers;
      await pool.end();
    },
  };
}

const wrong = async () =>
  (await system.target.query(`SELECT id FROM people WHERE full_name IS DISTINCT FROM first || ' ' || last`))
    .rows;
const triggers = async () =>
  (await system.target.query(`SELECT tgname FROM pg_trigger WHERE tgname LIKE '%cutover%'`)).rows;
const noted = async () =>
  (await system.target.query('SELECT count(*)::int AS notes FROM cutover.captured')).rows[0].notes;
const says = (run: TestRun, text: string | RegExp) =>
  until(
    async () =>
      (await run.messages()).find((message) =>
        typeof text === 'string' ? message.includes(text) : text.test(message),
      ),
    { what: `a message like ${text}` },
  );

describe.each([
  ['trigger', fill, false],
  ['capture', registered, false],
  ['application', fill, true],
] as const)(
  'a plan that keeps rows in sync by %s, under an application that writes',
  (mode, backfilled, both) => {
    const whole = (name: string) =>
      plan(name, schema, { ...sync, mode }, backfilled, approval, { ...cleanup, after: undefined });

    it('ends with every row as its transform says, and nothing of the sync left', async () => {
      if (!both) application = startApplication();
      const run = await system.start(whole(`sync-${mode}`));
      await until(async () => (await run.phase('keep'))?.state === 'completed', { what: 'the sync' });
      // Before the new column is there, nobody can write it.
      application ??= startApplication({ both });
      await run.reaches('awaiting_approval');
      await application.progress();
      expect(await triggers()).toHaveLength(mode === 'application' ? 0 : mode === 'capture' ? 2 : 1);
      if (mode !== 'capture') {
        await application.stop();
        application = undefined;
      }
      if (mode === 'trigger') expect(await wrong()).toEqual([]);
      await application?.stop();
      application = undefined;
      await run.command('approve', APPROVER);
      await run.reaches('completed');
      expect(await wrong()).toEqual([]);
      expect(await triggers()).toEqual([]);
      expect((await run.phase('keep'))?.summary).toContain('the sync of people was ended');
      expect((await run.messages()).filter((message) => message.startsWith('sync "keep"'))).toEqual([]);
      const { rows } = await system.target.query(`SELECT FROM pg_namespace WHERE nspname = 'cutover'`);
      expect(rows).toEqual([]);
    });

    it('is rolled back to what it was, flag first, then the sync, then rows, then the schema', async () => {
      const before = await fingerprint(system.target);
      // Once the column is dropped, an application that writes it could not go on.
      if (!both) application = startApplication();
      const run = await system.start(plan(`back-${mode}`, schema, { ...sync, mode }, backfilled, rollout), {
        timeScale: 1,
      });
      await until(async () => (await run.phase('roll-out'))?.state === 'running', { what: 'the rollout' });
      await run.command('rollback');
      await run.reaches('rolled_back');
      await application?.progress();
      await application?.stop();
      const after = await fingerprint(system.target);
      expect(after.schema).toEqual(before.schema);
      if (!application) expect(after.rows).toEqual(before.rows);
      application = undefined;
      const undone = (await listEvents(system.db, run.id, 0)).filter(({ data }) => data.state === 'undone');
      expect(undone.map(({ phase }) => phase)).toEqual(['roll-out', 'keep', 'fill', 'expand']);
      expect((await run.phase('keep'))?.summary).toBe('the sync of people was removed');
    });
  },
);

describe('drift', () => {
  const held = (onDrift: 'report' | 'repair' | 'hold', ...more: PhaseInput[]) =>
    plan(`drift-${onDrift}`, schema, { ...sync, onDrift, watchInterval: '1s' }, fill, rollout, ...more);
  const inRollout = (run: TestRun) =>
    until(async () => (await run.phase('roll-out'))?.state === 'running', { what: 'the rollout' });
  const bypass = (id: number) =>
    system.target.query(
      `BEGIN; SET LOCAL session_replication_role = replica; UPDATE people SET first = 'Bypass' WHERE id = ${id}; COMMIT`,
    );

  it('is put right and told, when the plan says repair', async () => {
    const run = await system.start(held('repair'), { timeScale: 1 });
    await inRollout(run);
    await bypass(17);
    await says(
      run,
      /^sync "keep": 1 of \d+ sampled rows of people differ from their transform: \(17\); 1 row found wrong is derived anew$/,
    );
    await says(run, 'sync "keep": does its work again');
    expect(await wrong()).toEqual([]);
    await system.target.query('ALTER TABLE people DISABLE TRIGGER USER');
    await system.target.query(`UPDATE people SET last = 'Unseen'`);
    await says(run, /the trigger zzz_cutover_keep_\w+ on public.people is disabled/);
    await until(async () => (await wrong()).length === 0, { what: 'all rows derived anew' });
    await run.command('rollback');
    await run.reaches('rolled_back');
  });

  it('is told and left alone, when the plan says report', async () => {
    const run = await system.start(held('report'), { timeScale: 1 });
    await inRollout(run);
    await bypass(17);
    await says(run, 'sampled rows of people differ from their transform: (17)');
    expect(await wrong()).toEqual([{ id: '17' }]);
    await run.command('rollback');
    await run.reaches('rolled_back');
  });

  it('holds the run, when the plan says hold; resume has it put right and goes on', async () => {
    const run = await system.start(held('hold'), { timeScale: 1 });
    await inRollout(run);
    await bypass(17);
    const now = await run.reaches('held');
    expect(now.reason).toMatch(
      /^sync "keep": 1 of \d+ sampled rows .*; resume has it put right and goes on$/,
    );
    expect(await wrong()).toEqual([{ id: '17' }]);
    await run.command('resume');
    await run.reaches('running');
    await until(async () => (await wrong()).length === 0, { what: 'the row derived anew' });
    await bypass(18);
    await run.reaches('held');
    await run.command('rollback');
    await run.reaches('rolled_back');
  });

  it('waits to hold a run that waits for people until they have decided', async () => {
    const waiting = plan(
      'drift-waits',
      schema,
      { ...sync, onDrift: 'hold', watchInterval: '1s' },
      fill,
      approval,
      rollout,
    );
    const run = await system.start(waiting, { timeScale: 1 });
    await run.reaches('awaiting_approval');
    await bypass(17);
    await says(run, 'sampled rows of people differ');
    await run.command('approve', APPROVER);
    await run.reaches('held');
    expect((await run.phase('roll-out'))?.state).toBe('pending');
    await run.command('rollback');
    await run.reaches('rolled_back');
  });
});

describe('a paused run', () => {
  it('captures but derives nothing until it goes on', async () => {
    const captured = plan('paused-sync', schema, { ...sync, mode: 'capture' }, registered, rollout);
    const run = await system.start(captured, { timeScale: 1 });
    await until(async () => (await run.phase('roll-out'))?.state === 'running', { what: 'the rollout' });
    await run.command('pause');
    const watch = system.client.workflow.getHandle(`${run.id}/keep/watch`);
    const pausedSlice = async () => {
      const { events } = await watch.fetchHistory();
      return events?.some(({ activityTaskCanceledEventAttributes }) => activityTaskCanceledEventAttributes);
    };
    await until(pausedSlice, { what: 'the end of the slice that was draining' });
    await system.target.query(`UPDATE people SET first = 'Paused' WHERE id = 5`);
    expect(await noted()).toBe(1);
    await run.command('resume');
    await until(async () => (await wrong()).length === 0, { what: 'the row derived' });
    expect(await noted()).toBe(0);
    await run.command('rollback');
    await run.reaches('rolled_back');
  });
});

describe('a run at its end', () => {
  it('ends its syncs when the table is free, and stops trying while it is paused', async () => {
    const captured = plan(
      'late-end',
      schema,
      { ...sync, mode: 'capture', lockTimeout: '100ms', lockAttempts: 1000 },
      registered,
      approval,
    );
    const run = await system.start(captured);
    await run.reaches('awaiting_approval');
    const reader = new pg.Client({ connectionString: system.targetUrl });
    await reader.connect();
    try {
      await reader.query('BEGIN; SELECT FROM people');
      await run.command('approve', APPROVER);
      await says(run, 'waits for the lock on people');
      await run.command('pause');
      const end = system.client.workflow.getHandle(`${run.id}/keep/end`);
      const idle = async () => ((await end.describe()).raw.pendingActivities ?? []).length === 0;
      await until(idle, { what: 'the end of the slice that was trying' });
      expect(await triggers()).toHaveLength(2);
      await system.target.query(`UPDATE people SET first = 'Late' WHERE id = 8`);
    } finally {
      await reader.end();
    }
    await run.command('resume');
    await run.reaches('completed');
    expect(await wrong()).toEqual([]);
    expect(await triggers()).toEqual([]);
  });
});

describe('a sync that cannot be installed', () => {
  it('fails its phase with what to do, and leaves nothing', async () => {
    const before = await fingerprint(system.target);
    const blocker = new pg.Client({ connectionString: system.targetUrl });
    await blocker.connect();
    try {
      await blocker.query(`BEGIN; UPDATE people SET first = 'Long' WHERE id = 1`);
      const impatient = { ...sync, lockTimeout: '50ms', lockAttempts: 2 } as const;
      const run = await system.start(
        plan('blocked', impatient, {
          ...fill,
          columns: {},
          transform: { kind: 'sql', set: { weight: '2' } },
          pending: 'weight < 2',
        }),
      );
      const ended = await run.reaches('rolled_back');
      expect(ended.reason).toContain('"keep": the lock on people was not free in 2 attempts of up to 50ms');
      expect(await run.messages()).toContainEqual(
        expect.stringContaining('waits for the lock on people (attempt 1 of 2)'),
      );
    } finally {
      await blocker.query('ROLLBACK');
      await blocker.end();
    }
    expect(await fingerprint(system.target)).toEqual(before);
  });
});
