import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/engine/backfill/records.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { defineTransform, migrated } from '../../src/engine/transform/transform.ts';
import { undoSlice } from '../../src/engine/undo/undo.ts';
import { undoRows } from '../../src/engine/undo/undo-rows.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import { classifySqlError } from '../../src/targets/postgres/errors.ts';
import type { Target } from '../../src/targets/target.ts';
import { until } from '../support/until.ts';
import {
  type Bench,
  countWrites,
  jobOf,
  openBench,
  phaseOf,
  runToEnd,
  transformJob,
  undoToEnd,
} from './harness.ts';

/** Holds up every batch that comes to row 25, until the test lets go of it. */
const GATE = 4711;

let bench: Bench;
/** The worker's target, apart from the one that the test looks through. */
let worker: Target;
beforeAll(async () => {
  bench = await openBench();
  worker = createPostgresTarget({ name: 'worker', url: bench.url, poolSize: 2, applicationName: 'worker' });
});
afterAll(async () => {
  await worker.close();
  await bench.close();
});

beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old int, new int, writes int NOT NULL DEFAULT 0)');
  await bench.sql('INSERT INTO t SELECT n, n FROM generate_series(1, 60) n');
  await countWrites(bench, 't');
  await bench.sql(`CREATE OR REPLACE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock_shared(${GATE}); RETURN NEW; END $$`);
  await bench.sql(
    'CREATE TRIGGER holds BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id = 25) EXECUTE FUNCTION hold()',
  );
});

/** Keeps the gate shut while the work is done; the worker meanwhile waits in the third batch. */
const whileHeld = <T>(work: () => Promise<T>) =>
  bench.target.session({}, async (session) => {
    await session.query(`SELECT pg_advisory_lock(${GATE})`);
    return work();
  });

const pidOfHeld = () =>
  until(
    async () => {
      const rows = await bench.sql<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity
          WHERE application_name = 'worker' AND datname = current_database() AND wait_event = 'advisory'`,
      );
      return rows[0]?.pid;
    },
    { what: 'the worker comes to the row that is held' },
  );

const plus = defineTransform({
  name: 'plus',
  version: 1,
  reads: ['old'],
  writes: ['new'],
  transform: ({ old }) => migrated({ new: old }),
});

const patient = { lockTimeoutMs: 60_000 };
const exact = () => bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM old OR writes <> 1');

describe.each(['sql', 'typescript'])('a backfill by %s', (kind) => {
  const newJob = () => (kind === 'sql' ? jobOf(phaseOf('t')) : transformJob('t', plus));

  it('that is aborted within a batch cancels it on the server, loses only that batch, and resumes exactly', async () => {
    const job = newJob();
    await whileHeld(async () => {
      const stop = new AbortController();
      const slice = runSlice(worker, job, { ...patient, signal: stop.signal });
      const pid = await pidOfHeld();
      stop.abort(new Error('stopped by the test'));
      await expect(slice).rejects.toThrow('stopped by the test');
      expect(
        await bench.sql(`SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active'`, [pid]),
      ).toEqual([]);
      expect(await readCheckpoint(bench.target, job.runId, 'fill')).toMatchObject({
        counts: { processed: 20 },
      });
      expect(await bench.sql('SELECT FROM t WHERE new IS NOT NULL')).toHaveLength(20);
    });
    expect(await runToEnd(worker, job)).toMatchObject({ processed: 60, migrated: 60 });
    expect(await exact()).toEqual([]);
  });

  it('whose connection is killed within a batch says that it may be tried again, and resumes exactly', async () => {
    const job = newJob();
    await whileHeld(async () => {
      const slice = runSlice(worker, job, patient).catch((error: unknown) => error);
      await bench.sql('SELECT pg_terminate_backend($1)', [await pidOfHeld()]);
      expect(classifySqlError(await slice)).toBe('retryable');
      expect(await readCheckpoint(bench.target, job.runId, 'fill')).toMatchObject({
        counts: { processed: 20 },
      });
    });
    expect(await runToEnd(worker, job)).toMatchObject({ processed: 60, migrated: 60 });
    expect(await exact()).toEqual([]);
  });

  it('cannot commit once another worker has taken over', async () => {
    const job = newJob();
    let zombie: Promise<unknown> | undefined;
    let heir: Promise<unknown> | undefined;
    await whileHeld(async () => {
      zombie = runSlice(worker, job, patient).catch((error: unknown) => error);
      await pidOfHeld();
      heir = runSlice(bench.target, job, patient);
      // The heir has the range and waits for the rows that the zombie's batch has locked.
      const fence = () => bench.sql('SELECT FROM cutover.range WHERE run_id = $1 AND fence = 2', [job.runId]);
      await until(async () => (await fence()).length === 1, { what: 'the second worker takes the range' });
    });
    expect(await zombie).toMatchObject({ done: true, processedThisSlice: 20 });
    expect(await heir).toMatchObject({ done: true, processedThisSlice: 40, counts: { migrated: 60 } });
    expect(await exact()).toEqual([]);
  });

  it('cannot commit, nor begin again, once it is being undone', async () => {
    const job = newJob();
    let zombie: Promise<unknown> | undefined;
    await whileHeld(async () => {
      zombie = runSlice(worker, job, patient).catch((error: unknown) => error);
      await pidOfHeld();
      expect(await undoToEnd(bench.target, job)).toMatchObject({ done: true, restored: 20, kept: 0 });
    });
    expect(await zombie).toMatchObject({ name: 'BackfillUndone' });
    expect(await bench.sql('SELECT FROM t WHERE new IS NOT NULL')).toEqual([]);
    await expect(runSlice(bench.target, job)).rejects.toMatchObject({ name: 'BackfillUndone' });
  });

  it('does not wait for a lock of the application for longer than it may', async () => {
    const job = newJob();
    await bench.target.transaction({}, async (session) => {
      await session.query('SELECT FROM t WHERE id = 5 FOR UPDATE');
      const refused = await runSlice(worker, job, { lockTimeoutMs: 50 }).catch((error: unknown) => error);
      expect(classifySqlError(refused)).toBe('retryable');
    });
    expect(await runToEnd(worker, job)).toMatchObject({ migrated: 60 });
  });

  it('migrates, and undoes to, what the application wrote while the batch waited for its row', async () => {
    const job = newJob();
    let slice: Promise<unknown> | undefined;
    await bench.target.transaction({}, async (session) => {
      await session.query('UPDATE t SET old = 1000, new = 500 WHERE id = 5');
      slice = runSlice(worker, job, patient);
      await until(
        () =>
          bench
            .sql(
              `SELECT FROM pg_stat_activity WHERE application_name = 'worker' AND wait_event_type = 'Lock'`,
            )
            .then((rows) => rows.length > 0),
        { what: 'the batch waits for the row' },
      );
    });
    expect(await slice).toMatchObject({ done: true, counts: { migrated: 60 } });
    expect(await bench.sql('SELECT FROM t WHERE new IS DISTINCT FROM old')).toEqual([]);
    await undoRows(bench.target, job, [['5']]);
    expect(await bench.sql('SELECT old, new FROM t WHERE id = 5')).toEqual([{ old: 1000, new: 500 }]);
  });

  it('that is killed while it is undone goes on with the undo, and restores each row once', async () => {
    const job = newJob();
    await runToEnd(worker, job);
    await whileHeld(async () => {
      const slice = undoSlice(worker, job, patient).catch((error: unknown) => error);
      await bench.sql('SELECT pg_terminate_backend($1)', [await pidOfHeld()]);
      expect(classifySqlError(await slice)).toBe('retryable');
    });
    expect(await undoToEnd(worker, job)).toMatchObject({ done: true, restored: 60, kept: 0 });
    expect(await bench.sql('SELECT FROM t WHERE new IS NOT NULL OR writes <> 2')).toEqual([]);
  });
});
