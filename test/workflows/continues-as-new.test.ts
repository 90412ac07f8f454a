import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { startTemporal } from '../../src/dev/temporal.ts';
import { backfill, PEOPLE, plan, rollout, schema } from '../fixtures/people.ts';
import { startSystem } from '../support/system.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const directory = temporaryDirectory();
let temporal: Awaited<ReturnType<typeof startTemporal>>;
beforeAll(async () => {
  temporal = await startTemporal({
    dir: join(directory.path, 'temporal'),
    executable: inject('temporalExecutable'),
    environment: {},
    say: () => {},
    // Histories count as long after days in production.
    extraArgs: ['--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=30'],
  });
});
afterAll(async () => {
  await temporal.stop();
  directory.remove();
});

it('a watch and a stage go on over many histories: they hear commands, tell their run, and end with it', async () => {
  const servers = { postgresUrl: inject('postgresUrl'), temporalAddress: temporal.address };
  const system = await startSystem({ setup: PEOPLE, servers });
  try {
    const { where: _, ...fill } = backfill;
    const how = { mode: 'trigger', onDrift: 'hold', watchInterval: '1s' } as const;
    const keep = { kind: 'sync', name: 'keep', backfill: 'fill', ...how } as const;
    const run = await system.start(plan('continues', schema, keep, fill, rollout), { timeScale: 1 });
    await until(async () => (await run.phase('roll-out'))?.state === 'running', { what: 'the rollout' });
    const watch = system.client.workflow.getHandle(`${run.id}/keep/watch`);
    const { runId: first } = await watch.describe();
    await until(
      async () => {
        await run.command('pause');
        await run.command('resume');
        return (await watch.describe()).runId !== first;
      },
      { what: 'another history of the watch' },
    );
    await system.target.query(
      `BEGIN; SET LOCAL session_replication_role = replica; UPDATE people SET first = 'Bypass' WHERE id = 3; COMMIT`,
    );
    expect((await run.reaches('held')).reason).toContain('differ from their transform: (3)');
    await run.command('resume');
    const wrong = `SELECT FROM people WHERE full_name IS DISTINCT FROM first || ' ' || last`;
    await until(async () => (await system.target.query(wrong)).rowCount === 0, {
      what: 'the row derived anew',
    });
    await run.command('rollback');
    await run.reaches('rolled_back');
    expect((await watch.describe()).status.name).toBe('CANCELLED');
  } finally {
    await system.close();
  }
}, 180_000);
