import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listMeasurements } from '../../src/db/gate-measurements.ts';
import { approval, cleanup, PEOPLE, plan, rollout, schema } from '../fixtures/people.ts';
import { type System, startSystem, type TestRun } from '../support/system.ts';
import { until } from '../support/until.ts';

let system: System;
beforeEach(async () => {
  system = await startSystem({ setup: PEOPLE });
});
afterEach(() => system.close());

const percentage = async () => {
  const { rows } = await system.target.query('SELECT rollout_percentage AS percentage FROM feature_flags');
  return rows[0].percentage;
};
const countMeasurements = async (runId: string) => (await listMeasurements(system.db, runId)).length;
const setErrorRate = (rate: number | null) =>
  system.target.query('UPDATE health SET error_rate = $1', [rate]);

const weight = async () => {
  const { rows } = await system.target.query('SELECT sum(weight)::int AS weight FROM people');
  return rows[0].weight;
};
/** A cleanup whose guard waits for seconds after the rollout, so that a busy machine can still pause it in time. */
const lateCleanup = { ...cleanup, after: { flag: { name: 'full_name' }, for: '8d' as const } };

/** Pauses the run while its cleanup waits, and lets the time that it waits for go by. */
const pauseUntilGuardIsOver = async (run: TestRun) => {
  const guard = system.client.workflow.getHandle(`${run.id}/contract/guard`);
  await until(() => guard.describe(), { what: 'the guard of the cleanup' });
  await run.command('pause');
  const timeIsOver = async () => {
    const { events } = await guard.fetchHistory();
    return events?.some(({ timerFiredEventAttributes }) => timerFiredEventAttributes);
  };
  await until(timeIsOver, { what: 'the end of the time that the cleanup waits' });
};

describe('a paused run', () => {
  it('opens no further stage, though time is up and the gate passes', async () => {
    await setErrorRate(null);
    const run = await system.start(plan('paused-stage', rollout));
    const verdict = (text: string) =>
      until(async () => (await run.messages()).some((message) => message.includes(text)), { what: text });
    await verdict('hold, nothing to measure yet');
    await run.command('pause');
    await setErrorRate(0.1);
    await verdict('pass');
    // The gate is measured again and again after it has passed, and each time the stage could end.
    const measured = await countMeasurements(run.id);
    await until(async () => (await countMeasurements(run.id)) > measured + 2, {
      what: 'three more measurements',
    });
    expect(await percentage()).toBe(10);
    await run.command('resume');
    await run.reaches('completed');
    expect(await percentage()).toBe(100);
  });

  it('drops nothing, though the time that the cleanup waits for is over', async () => {
    const run = await system.start(plan('paused-cleanup', { ...rollout, gates: [] }, lateCleanup));
    await pauseUntilGuardIsOver(run);
    expect(await weight()).toBe(1000);
    await run.command('rollback');
    await run.reaches('rolled_back');
    expect(await weight()).toBe(1000);
  });

  it('looks at the flag again before it drops anything once it goes on', async () => {
    const run = await system.start(plan('guarded-again', { ...rollout, gates: [] }, lateCleanup));
    await pauseUntilGuardIsOver(run);
    await system.target.query('UPDATE feature_flags SET rollout_percentage = 50');
    await run.command('resume');
    expect((await run.reaches('held')).reason).toContain('full_name is at 50 %');
  });
});

describe('signals from Temporal itself', () => {
  it('with an argument that is none count as the server’s administrator', async () => {
    const run = await system.start(plan('odd-signals', schema, approval));
    await run.reaches('awaiting_approval');
    await run.handle.signal('approve', null as never);
    await run.reaches('completed');
    expect(await run.messages()).toContain('approve by temporal');
  });

  it('that nobody can make sense of do not block the run', async () => {
    const run = await system.start(plan('malformed-signals', schema, approval));
    await run.reaches('awaiting_approval');
    await run.handle.signal('pause', 'please' as never);
    await run.handle.signal('reject', { reason: 7, actor: { name: 'x', role: 'emperor' } } as never);
    expect((await run.reaches('rolled_back')).reason).toBe('reject by temporal');
    expect(await run.messages()).toContainEqual(expect.stringMatching(/^pause by temporal refused/));
  });
});
