import { afterEach, expect, it } from 'vitest';
import { LEDGER_TRANSFORMS, ledger, ledgerPlan } from '../fixtures/ledger.ts';
import { startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { spawnWorker } from '../support/worker-process.ts';

/** Two million take minutes: CUTOVER_KILLED_ROWS=2000000 npx vitest run test/e2e/undo-kills.test.ts */
const ROWS = Number(process.env.CUTOVER_KILLED_ROWS ?? 100_000);
const BATCH = 2_000;
const ROWS_PER_KILL = 40_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

it(`the undo of ${ROWS} rows, two workers, one of them killed again and again: each row restored once`, async () => {
  const app = await startSystem({ setup: ledger(ROWS), transforms: [LEDGER_TRANSFORMS], worker: false });
  cleanups.push(() => app.close());
  const spawn = () => {
    const worker = spawnWorker(app);
    cleanups.push(() => worker.kill());
    return worker;
  };
  const workers = [spawn(), spawn()];
  const over = { batchSize: BATCH, maxBatchSize: BATCH, parallelism: 2, throttle: [] };
  const { phases, ...plan } = ledgerPlan('undone-under-kills', 'sql', over);
  const run = await app.start({ ...plan, phases: [...phases, { kind: 'approval', name: 'go' }] });
  await run.reaches('awaiting_approval', 200_000);

  await run.command('rollback');
  const restored = async () => {
    const { rows } = await app.target.query('SELECT count(*)::int AS n FROM ledger WHERE cents IS NULL');
    return rows[0].n;
  };
  let kills = 0;
  for (let next = BATCH; next < ROWS; next = (await restored()) + ROWS_PER_KILL) {
    await until(async () => (await restored()) >= next, {
      what: `${next} restored rows`,
      deadlineMs: 120_000,
    });
    const victim = kills % 2;
    await workers[victim]?.kill();
    workers[victim] = spawn();
    kills += 1;
  }
  await run.reaches('rolled_back', 120_000);

  console.info(`${kills} workers were killed`);
  expect(kills).toBeGreaterThan(1);
  const { rows } = await app.target.query(
    `SELECT count(*) FILTER (WHERE cents IS NULL AND writes = 2)::int AS restored,
            (SELECT last_value::int FROM attempts) AS attempts FROM ledger`,
  );
  expect(rows[0]).toMatchObject({ restored: ROWS });
  // Both lanes may run on the worker that is killed.
  expect(rows[0].attempts - 2 * ROWS).toBeLessThanOrEqual(kills * 2 * BATCH);
  expect((await run.phase('cents'))?.summary).toBe(`${ROWS} rows restored`);
}, 500_000);
