import { expect, test } from 'vitest';
import { EXAMPLE_TARGET, exampleSystems } from '../../examples/index.ts';
import { campaigns, events, phaseOf } from './loaded-systems.ts';

test.each([campaigns, events])('$name: the plan holds, and goes by the published strategy', (plan) => {
  const system = exampleSystems.find(({ name }) => name === plan.name);
  expect(plan.target).toBe(EXAMPLE_TARGET);
  expect(plan.phases.map(({ kind }) => kind)).toEqual([
    ...['schema', 'backup', 'backfill', 'validate', 'approval', 'rollout', 'soak', 'cleanup'],
  ]);
  expect(phaseOf(plan, 'backfill')).toMatchObject({ batchSize: 100, undo: { kind: 'journal' } });
  const [transform] = system?.transforms ?? [];
  expect(phaseOf(plan, 'backfill').transform).toEqual({
    kind: 'registered',
    name: transform?.name,
    version: transform?.version,
    threads: 0,
  });

  const rollout = phaseOf(plan, 'rollout');
  expect(rollout.flag.name).toBe(system?.flag);
  expect(rollout.stages).toEqual([
    { percentage: 10, hold: '24h' },
    { percentage: 50, hold: '48h' },
    { percentage: 100, hold: '1w' },
  ]);
  expect(rollout.gates.map(({ name, op, threshold, unit }) => `${name} ${op} ${threshold} ${unit}`)).toEqual([
    ...['error-rate < 1 %', 'api-p95 < 500 ms', 'widget-p95 < 200 ms', 'campaign-creation > 98 %'],
  ]);
  expect(phaseOf(plan, 'soak')).toMatchObject({ flag: rollout.flag, for: '2w', gates: rollout.gates });
  expect(phaseOf(plan, 'cleanup')).toMatchObject({
    after: { flag: rollout.flag, for: '2w' },
    pointOfNoReturn: true,
  });
});

test('each plan has its own flag, and is served under the name of the older migration function', () => {
  expect(new Set(exampleSystems.map(({ flag }) => flag)).size).toBe(2);
  expect([campaigns.endpoint, events.endpoint]).toEqual(['migrate-campaigns-v2', 'migrate-events-canonical']);
});
