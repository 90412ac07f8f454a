import { expect, test } from 'vitest';
import { findPlan, findPlanByEndpoint, listPlans, registerPlan } from '../../src/db/plans.ts';
import { planHash } from '../../src/plan/hash.ts';
import { samplePlan, useControlDatabase } from './control-database.ts';

const control = useControlDatabase();

function register(plan: ReturnType<typeof samplePlan>) {
  return registerPlan(control.db, plan, planHash(plan), 'ana');
}

test('the latest document again is the same version, a changed one the next', async () => {
  const plan = samplePlan();
  expect(await register(plan)).toMatchObject({ created: true, plan: { version: 1 } });
  expect(await register(plan)).toMatchObject({ created: false, plan: { version: 1 } });
  const changed = { ...plan, description: 'now with a description' };
  expect(await register(changed)).toMatchObject({ created: true, plan: { version: 2 } });
});

test('going back to an earlier document makes it the latest version again', async () => {
  const plan = samplePlan();
  await register(plan);
  await register({ ...plan, description: 'a mistake' });
  expect(await register(plan)).toMatchObject({ created: true, plan: { version: 3, hash: planHash(plan) } });
  expect((await findPlan(control.db, plan.name))?.document.description).toBe('');
  expect((await findPlan(control.db, plan.name, 2))?.document.description).toBe('a mistake');
});

test('the same document registered many times at once is one version', async () => {
  const plan = samplePlan();
  const results = await Promise.all(Array.from({ length: 8 }, () => register(plan)));
  expect(results.map(({ plan: { version } }) => version)).toEqual(Array(8).fill(1));
  expect(results.filter(({ created }) => created)).toHaveLength(1);
});

test('different documents registered at once get versions without a gap', async () => {
  const plan = samplePlan();
  const results = await Promise.all(
    Array.from({ length: 6 }, (_, n) => register({ ...plan, description: `number ${n}` })),
  );
  expect(results.map(({ plan: { version } }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6]);
});

test('lists show every plan once, in its latest version, and find it by its endpoint', async () => {
  const plan = samplePlan({ endpoint: 'old-endpoint' });
  await register(plan);
  await register({ ...plan, description: 'second', endpoint: 'new-endpoint' });
  const listed = (await listPlans(control.db)).filter(({ name }) => name === plan.name);
  expect(listed).toMatchObject([{ version: 2 }]);
  expect((await findPlanByEndpoint(control.db, 'new-endpoint'))?.version).toBe(2);
  expect(await findPlanByEndpoint(control.db, 'old-endpoint')).toBeUndefined();
});

test('an unknown plan or version is not found', async () => {
  const plan = samplePlan();
  await register(plan);
  expect(await findPlan(control.db, plan.name, 2)).toBeUndefined();
  expect(await findPlan(control.db, 'no-such-plan')).toBeUndefined();
});
