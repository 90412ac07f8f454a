import { afterAll, beforeAll, expect, test } from 'vitest';
import { reconcileRuns } from '../../src/api/reconcile.ts';
import { registerPlan } from '../../src/db/plans.ts';
import { listEvents } from '../../src/db/run-events.ts';
import { changeStatus, createRun, findRun } from '../../src/db/runs.ts';
import { planHash } from '../../src/plan/hash.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import { uniqueName } from '../support/unique-name.ts';
import { planDocument, startTestApi } from './test-api.ts';

// No worker runs here, so that workflows stay as they are started or ended.
let api: Awaited<ReturnType<typeof startTestApi>>;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api?.close());

/** A row as a crash leaves it: recorded, and its workflow never started. */
async function pendingRow(ageSeconds: number): Promise<string> {
  const plan = parsePlan(planDocument());
  await registerPlan(api.db, plan, planHash(plan), 'ana');
  const id = uniqueName(plan.name);
  await createRun(
    api.db,
    {
      id,
      planName: plan.name,
      planVersion: 1,
      planHash: planHash(plan),
      target: plan.target,
      startedBy: 'ana',
      starterRole: 'operator',
      createdAt: new Date(Date.now() - ageSeconds * 1_000),
    },
    plan.phases,
  );
  return id;
}

async function startedRow(): Promise<string> {
  const id = await pendingRow(60);
  await reconcileRuns(api.deps);
  await changeStatus(api.db, { runId: id, status: 'running', reason: null, phase: 'fill', key: 'start' });
  return id;
}

const stateOf = async (id: string) =>
  (
    await api.temporal.workflow
      .getHandle(id)
      .describe()
      .catch(() => undefined)
  )?.status.name;

test('a run that a crash left pending is started, and only once', async () => {
  const id = await pendingRow(60);
  await Promise.all([reconcileRuns(api.deps), reconcileRuns(api.deps)]);
  expect(await stateOf(id)).toBe('RUNNING');
  expect(await findRun(api.db, id)).toMatchObject({ status: 'pending' });
});

test('a run that is just being started is left to its request', async () => {
  const id = await pendingRow(1);
  await reconcileRuns(api.deps);
  expect(await stateOf(id)).toBeUndefined();
});

test('a run whose workflow was terminated becomes terminated, with the reason, and makes room for another', async () => {
  const id = await startedRow();
  await reconcileRuns(api.deps);
  expect(await findRun(api.db, id)).toMatchObject({ status: 'running' });
  await api.temporal.workflow.getHandle(id).terminate('somebody had enough');
  await Promise.all([reconcileRuns(api.deps), reconcileRuns(api.deps)]);
  const run = await findRun(api.db, id);
  expect(run).toMatchObject({
    status: 'terminated',
    phase: 'fill',
    reason: expect.stringContaining('somebody had enough'),
  });
  expect(run?.finishedAt).toBeInstanceOf(Date);
  const events = await listEvents(api.db, id, 0);
  expect(events.map(({ data }) => data.status)).toEqual(['running', 'terminated']);
});

test('a pending run whose workflow was terminated is not started again', async () => {
  const id = await pendingRow(60);
  await reconcileRuns(api.deps);
  await api.temporal.workflow.getHandle(id).terminate('never mind');
  await reconcileRuns(api.deps);
  expect(await stateOf(id)).toBe('TERMINATED');
  expect(await findRun(api.db, id)).toMatchObject({ status: 'terminated' });
});

test('a run whose workflow Temporal does not know becomes terminated', async () => {
  const id = await pendingRow(60);
  await changeStatus(api.db, { runId: id, status: 'running', reason: null, phase: null, key: 'start' });
  await reconcileRuns(api.deps);
  expect(await findRun(api.db, id)).toMatchObject({
    status: 'terminated',
    reason: 'its workflow is gone from the Temporal server',
  });
});
