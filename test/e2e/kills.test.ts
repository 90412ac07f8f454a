import { setTimeout } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { LEDGER_TRANSFORMS, ledger, ledgerPlan } from '../fixtures/ledger.ts';
import { startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { spawnWorker } from '../support/worker-process.ts';

/** Two million take minutes: CUTOVER_KILLED_ROWS=2000000 npx vitest run test/e2e/kills.test.ts */
const ROWS = Number(process.env.CUTOVER_KILLED_ROWS ?? 500_000);
const BATCH = 5_000;
const KILL_EVERY_MS = 4_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

it(`${ROWS} rows, two workers, and every few seconds one of them killed: exact, and at most one batch lost per kill`, async () => {
  const app = await startSystem({ setup: ledger(ROWS), transforms: [LEDGER_TRANSFORMS], worker: false });
  cleanups.push(() => app.close());
  // With one slot each, a worker that is killed has one batch in flight.
  const oneSlot = { app: { ...app.config.targets.app, poolSize: 1 } };
  const spawn = () => {
    const worker = spawnWorker({ ...app, config: { ...app.config, targets: oneSlot } });
    cleanups.push(() => worker.kill());
    return worker;
  };
  const workers = [spawn(), spawn()];
  const over = {
    batchSize: BATCH,
    maxBatchSize: BATCH,
    parallelism: 2,
    throttle: [],
    undo: { kind: 'none' as const },
    pointOfNoReturn: true,
  };
  const run = await app.start(ledgerPlan('killed-often', 'sql', over));

  const begun = async () => {
    const { rows } = await app.target.query('SELECT FROM ledger WHERE cents IS NOT NULL LIMIT 1');
    return rows.length > 0;
  };
  await until(begun, { what: 'the first rows' });
  let kills = 0;
  const completed = run.reaches('completed', 400_000);
  const ended = completed.then(() => true);
  ended.catch(() => {});
  do {
    const victim = kills % 2;
    await workers[victim]?.kill();
    workers[victim] = spawn();
    kills += 1;
    // The pace of the kills is what is asked for, not something to wait on.
  } while (!(await Promise.race([ended, setTimeout(KILL_EVERY_MS, false)])));
  await completed;

  console.info(`${kills} workers were killed`);
  expect(kills).toBeGreaterThan(0);
  const { rows } = await app.target.query(
    `SELECT count(*) FILTER (WHERE writes = 1)::int AS once, count(*) FILTER (WHERE cents = (amount::numeric * 100)::bigint)::int AS right,
            (SELECT last_value::int FROM attempts) AS attempts FROM ledger`,
  );
  expect(rows[0]).toMatchObject({ once: ROWS, right: ROWS });
  expect(rows[0].attempts - ROWS).toBeLessThanOrEqual(kills * BATCH);
  expect((await run.phase('cents'))?.summary).toBe(
    `${ROWS} rows: ${ROWS} migrated, 0 skipped, 0 ambiguous, 0 failed`,
  );
}, 500_000);
