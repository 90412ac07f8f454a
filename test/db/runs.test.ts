import { expect, test } from 'vitest';
import { listEvents } from '../../src/db/run-events.ts';
import {
  changePhase,
  findPhase,
  listPhases,
  progressBefore,
  reportProgress,
  thinProgress,
} from '../../src/db/run-phases.ts';
import {
  ActiveRunExists,
  changeStatus,
  createRun,
  discardPendingRun,
  findActiveRun,
  findLatestRun,
  findRun,
  listRuns,
  listUnfinishedRuns,
} from '../../src/db/runs.ts';
import { uniqueName } from '../support/unique-name.ts';
import { newRun, PHASES, useControlDatabase } from './control-database.ts';

const control = useControlDatabase();

async function create(changes: Parameters<typeof newRun>[0] = {}) {
  return (await createRun(control.db, newRun(changes), PHASES)).run;
}

function move(runId: string, status: Parameters<typeof changeStatus>[1]['status'], key: string) {
  return changeStatus(control.db, { runId, status, reason: null, phase: null, key });
}

test('a run begins as pending, with its phases in order', async () => {
  const run = await create();
  expect(run.status).toBe('pending');
  expect((await listPhases(control.db, [run.id])).map(({ name, state }) => [name, state])).toEqual([
    ['widen', 'pending'],
    ['fill', 'pending'],
  ]);
});

test('of many starts of one plan at once, one wins and the others are told which', async () => {
  const planName = uniqueName('plan');
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () => createRun(control.db, newRun({ planName }), PHASES)),
  );
  const won = results.filter((result) => result.status === 'fulfilled');
  expect(won).toHaveLength(1);
  const active = await findActiveRun(control.db, planName, 'shop');
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    expect(result.reason).toBeInstanceOf(ActiveRunExists);
    expect((result.reason as ActiveRunExists).runId).toBe(active?.id);
  }
  expect(await listRuns(control.db, { plan: planName, limit: 10 })).toHaveLength(1);
});

test('many starts with one idempotency key at once make one run, which all of them get', async () => {
  const planName = uniqueName('plan');
  const idempotencyKey = uniqueName('key');
  const results = await Promise.all(
    Array.from({ length: 8 }, () => createRun(control.db, newRun({ planName, idempotencyKey }), PHASES)),
  );
  expect(new Set(results.map(({ run }) => run.id)).size).toBe(1);
  expect(results.filter(({ created }) => created)).toHaveLength(1);
});

test('an idempotency key returns its run also when that is long finished', async () => {
  const planName = uniqueName('plan');
  const idempotencyKey = uniqueName('key');
  const run = await create({ planName, idempotencyKey });
  await move(run.id, 'completed', 'end');
  const again = await createRun(control.db, newRun({ planName, idempotencyKey }), PHASES);
  expect(again).toMatchObject({ created: false, run: { id: run.id, status: 'completed' } });
});

test('a run id that is taken is an error, not another try', async () => {
  const run = await create();
  await expect(createRun(control.db, newRun({ id: run.id }), PHASES)).rejects.toThrow();
});

test('a plan may run on two targets at once, and again on one once its run is final', async () => {
  const planName = uniqueName('plan');
  const first = await create({ planName });
  await create({ planName, target: 'other' });
  await move(first.id, 'rolled_back', 'end');
  const second = await create({ planName });
  expect((await findLatestRun(control.db, planName, 'shop'))?.id).toBe(second.id);
});

test('a run that never started can be taken back, one that did cannot', async () => {
  const pending = await create();
  await discardPendingRun(control.db, pending.id);
  expect(await findRun(control.db, pending.id)).toBeUndefined();
  expect(await listPhases(control.db, [pending.id])).toEqual([]);
  const running = await create();
  await move(running.id, 'running', 'start');
  await discardPendingRun(control.db, running.id);
  expect(await findRun(control.db, running.id)).toMatchObject({ status: 'running' });
});

test('a change of status is written once, with its event, however often it is repeated', async () => {
  const run = await create();
  await move(run.id, 'running', 'start');
  await Promise.all([1, 2, 3].map(() => move(run.id, 'paused', 'pause')));
  const events = await listEvents(control.db, run.id, 0);
  expect(events.map(({ key, data }) => [key, data.status])).toEqual([
    ['start', 'running'],
    ['pause', 'paused'],
  ]);
});

test('an attempt that comes late does not put an old status back', async () => {
  const run = await create();
  await move(run.id, 'running', '1');
  await move(run.id, 'paused', '2');
  await move(run.id, 'running', '1');
  expect(await findRun(control.db, run.id)).toMatchObject({ status: 'paused' });
});

test('a final status stays, and nothing is told after it', async () => {
  const run = await create();
  await move(run.id, 'completed', 'end');
  await move(run.id, 'terminated', 'lost');
  const found = await findRun(control.db, run.id);
  expect(found).toMatchObject({ status: 'completed' });
  expect(found?.finishedAt).toBeInstanceOf(Date);
  expect(await listEvents(control.db, run.id, 0)).toHaveLength(1);
  expect((await listUnfinishedRuns(control.db)).map(({ id }) => id)).not.toContain(run.id);
});

test('a phase keeps when it first began, and loses its end when it is tried again', async () => {
  const run = await create();
  const change = (state: 'running' | 'failed', key: string) =>
    changePhase(control.db, { runId: run.id, phase: 'fill', state, summary: null, key });
  await change('running', '1');
  const first = await findPhase(control.db, run.id, 'fill');
  await change('failed', '2');
  expect((await findPhase(control.db, run.id, 'fill'))?.finishedAt).toBeInstanceOf(Date);
  await change('running', '3');
  const again = await findPhase(control.db, run.id, 'fill');
  expect(again).toMatchObject({ state: 'running', finishedAt: null, startedAt: first?.startedAt });
});

test('progress shows on the phase, and can be looked up as it was', async () => {
  const run = await create();
  for (const processed of [100, 250, 400]) {
    const counts = { processed, migrated: processed - 1, skipped: 1, ambiguous: 0, failed: 0 };
    await reportProgress(control.db, run.id, 'fill', { counts, estimatedRows: 400, rowsPerSecond: 10 });
  }
  expect((await findPhase(control.db, run.id, 'fill'))?.progress?.counts.processed).toBe(400);
  const at = async (processed: number) =>
    (await progressBefore(control.db, run.id, 'fill', processed))?.counts.processed;
  expect(await at(250)).toBe(250);
  expect(await at(399)).toBe(250);
  expect(await at(99)).toBeUndefined();
});

test('progress is thinned evenly once there is much of it, and nothing else is', async () => {
  const { run } = await createRun(control.db, newRun(), PHASES);
  const report = (processed: number) => {
    const counts = { processed, migrated: processed, skipped: 0, ambiguous: 0, failed: 0 };
    return reportProgress(control.db, run.id, 'fill', { counts, estimatedRows: null, rowsPerSecond: 1 });
  };
  for (let processed = 1; processed <= 20; processed += 1) await report(processed);
  await changePhase(control.db, {
    runId: run.id,
    phase: 'fill',
    state: 'completed',
    summary: 'done',
    key: 'end',
  });
  const messages = async () => (await listEvents(control.db, run.id, 0)).map(({ message }) => message);
  const before = await messages();

  await thinProgress(control.db, run.id, 'fill', 20);
  expect(await messages()).toEqual(before);
  await thinProgress(control.db, run.id, 'fill', 5);
  expect(await messages()).toEqual([4, 8, 12, 16, 20].map((n) => `${n} rows processed`).concat('done'));
});

test('pages of runs hold each run once, newest first, also those created in the same instant', async () => {
  const planName = uniqueName('plan');
  const ids: string[] = [];
  for (let n = 0; n < 7; n += 1) ids.push((await create({ planName, target: `t${n}` })).id);
  await control.db.pool.query(
    "UPDATE cutover_control.runs SET created_at = '2025-01-01T00:00:00.123456Z' WHERE plan_name = $1 AND target IN ('t2','t3','t4','t5')",
    [planName],
  );
  const seen: string[] = [];
  let before: string | undefined;
  for (;;) {
    const page = await listRuns(control.db, { plan: planName, limit: 2, before });
    seen.push(...page.map(({ id }) => id));
    before = page.at(-1)?.id;
    if (page.length < 2) break;
  }
  expect(seen).toHaveLength(7);
  expect(new Set(seen)).toEqual(new Set(ids));
  expect(await listRuns(control.db, { plan: planName, status: 'running', limit: 10 })).toEqual([]);
});

test('writers of one run at once never wait for each other for ever', async () => {
  const run = await create();
  const counts = { processed: 1, migrated: 1, skipped: 0, ambiguous: 0, failed: 0 };
  const writes = Array.from({ length: 30 }, (_, n) => [
    changePhase(control.db, { runId: run.id, phase: 'fill', state: 'running', summary: null, key: `p${n}` }),
    reportProgress(control.db, run.id, 'fill', { counts, estimatedRows: null, rowsPerSecond: 1 }),
    move(run.id, n % 2 === 0 ? 'running' : 'paused', `s${n}`),
  ]).flat();
  await Promise.all(writes);
  expect(await listEvents(control.db, run.id, 0)).toHaveLength(90);
});
