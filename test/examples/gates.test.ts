import { expect, test } from 'vitest';
import { exampleSystems } from '../../examples/index.ts';
import { SimulatedApplication } from '../../examples/shared/traffic.ts';
import { compare } from '../../src/domain/compare.ts';
import type { Gate, Plan } from '../../src/domain/plan.ts';
import { measureSqlGate } from '../../src/gates/sql-gate.ts';
import { campaigns, events, loadSystemsForEachTest, phaseOf } from './loaded-systems.ts';

const systems = loadSystemsForEachTest();
const since = new Date(Date.now() - 3_600_000);

/** Telemetry of so many requests of each flag, at a time. */
async function record(percentage: number, count: number, options: { failAt?: number; at?: Date } = {}) {
  for (const { flag } of exampleSystems) {
    const samples = new SimulatedApplication(flag, options).requests(count, percentage);
    await systems.client.query(
      `INSERT INTO telemetry (at, kind, ok, ms, flag, variant, user_key)
       SELECT $2, kind, ok, ms, flag, variant, user_key FROM jsonb_to_recordset($1::jsonb)
         AS s (kind text, ok boolean, ms double precision, flag text, variant text, user_key text)`,
      [JSON.stringify(samples), options.at ?? new Date()],
    );
  }
}

async function measure(plan: Plan): Promise<Record<string, string>> {
  const judged = await Promise.all(
    phaseOf(plan, 'rollout').gates.map(async (gate) => [gate.name, await judge(gate)] as const),
  );
  return Object.fromEntries(judged);
}

async function judge(gate: Gate): Promise<string> {
  const measured = await measureSqlGate(systems.target, gate, { since, percentage: 50, run_id: 'run-1' });
  if (measured.kind !== 'value') return measured.kind;
  return compare(measured.value, gate.op, gate.threshold) ? 'pass' : 'fail';
}

const all = (verdict: string) => ({
  'error-rate': verdict,
  'api-p95': verdict,
  'widget-p95': verdict,
  'campaign-creation': verdict,
});

test.each([campaigns, events])('$name: no traffic is no data, not success', async (plan) => {
  expect(await measure(plan)).toEqual(all('no-data'));
});

test.each([campaigns, events])(
  '$name: only users of the new behaviour count, since the stage began',
  async (plan) => {
    await record(0, 200);
    await record(50, 500, { failAt: 50, at: new Date(since.getTime() - 1) });
    expect(await measure(plan)).toEqual(all('no-data'));
  },
);

test.each([campaigns, events])('$name: too few requests say nothing about the error rate', async (plan) => {
  await record(100, 49, { failAt: 50 });
  expect(await measure(plan)).toMatchObject({ 'error-rate': 'no-data' });
});

test.each([campaigns, events])('$name: healthy traffic passes at each stage', async (plan) => {
  for (const percentage of [10, 50, 100]) {
    await systems.client.query('TRUNCATE telemetry');
    await record(percentage, 1_000);
    expect(await measure(plan)).toEqual(all('pass'));
  }
});

test.each([campaigns, events])('$name: failing traffic is caught, from fifty requests on', async (plan) => {
  for (const count of [50, 1_000]) {
    await systems.client.query('TRUNCATE telemetry');
    await record(100, count, { failAt: 50 });
    expect(await measure(plan)).toMatchObject({ 'error-rate': 'fail', 'api-p95': 'pass' });
  }
  expect(await measure(plan)).toMatchObject({ 'campaign-creation': 'fail' });
});

test.each([
  ['api', 'api-p95', 501],
  ['widget', 'widget-p95', 201],
])('a slow %s is caught by %s', async (kind, gate, ms) => {
  await record(100, 1_000);
  await systems.client.query('UPDATE telemetry SET ms = $2 WHERE kind = $1', [kind, ms]);
  expect(await measure(campaigns)).toEqual({ ...all('pass'), [gate]: 'fail' });
  expect(await measure(events)).toEqual({ ...all('pass'), [gate]: 'fail' });
});
