import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { previewUndo } from '../../src/engine/undo/preview.ts';
import { undoSlice } from '../../src/engine/undo/undo.ts';
import { undoRows } from '../../src/engine/undo/undo-rows.ts';
import { type Bench, jobOf, ODD_SETTINGS, openBench, phaseOf, runToEnd, undoToEnd } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench(ODD_SETTINGS);
});
afterAll(() => bench.close());
beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql(
    'CREATE TABLE t (a int, b text COLLATE "C", old int, new int, note text, PRIMARY KEY (a, b))',
  );
});

async function fill(rows: number): Promise<void> {
  await bench.sql(`INSERT INTO t SELECT n % 7, 'b' || n, n, -n FROM generate_series(1, ${rows}) n`);
}

const inBatches = { batchSize: 5_000, maxBatchSize: 5_000 };

describe('what an undo would do', () => {
  it('is counted row by row where there are few, and nothing is written or locked', async () => {
    await fill(100);
    const job = jobOf(phaseOf('t', inBatches));
    await runToEnd(bench.target, job);
    await bench.sql(
      `UPDATE t SET new = 0 WHERE old IN (3, 4); DELETE FROM t WHERE old = 5; UPDATE t SET note = ''`,
    );
    await undoRows(bench.target, job, [
      ['6', 'b6'],
      ['3', 'b3'],
    ]);
    const before = await bench.checksums();
    // A row that somebody holds can be looked at.
    const preview = await bench.target.transaction({}, async (session) => {
      await session.query('SELECT FROM t FOR UPDATE');
      return previewUndo(bench.target, job, { lockTimeoutMs: 50 });
    });
    // One is restored already.
    expect(preview).toEqual({ rows: 99, exact: true, kept: { rows: 3, how: 'counted', compared: 99 } });
    expect(await bench.checksums()).toEqual(before);
    expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 97, kept: 3, rows: 100 });
  });

  it('is estimated from random pages where there are many, unless it is to be counted', async () => {
    await fill(40_000);
    const job = jobOf(phaseOf('t', inBatches));
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = 0 WHERE old % 10 = 0');
    const estimated = await previewUndo(bench.target, job);
    expect(estimated).toMatchObject({ rows: 40_000, exact: true, kept: { how: 'estimated' } });
    expect(estimated?.kept?.compared).toBeGreaterThan(500);
    expect(estimated?.kept?.compared).toBeLessThan(20_000);
    expect(estimated?.kept?.rows).toBeGreaterThan(3_000);
    expect(estimated?.kept?.rows).toBeLessThan(5_000);
    const counted = await previewUndo(bench.target, job, { countKept: true });
    expect(counted?.kept).toEqual({ rows: 4_000, how: 'counted', compared: 40_000 });
    const inTime = await previewUndo(bench.target, job, { countKept: true, untilMs: 0 });
    expect(inTime?.kept?.how).toBe('estimated');
  });

  it('tells what is left to do once it has begun, and nothing where there is nothing', async () => {
    await fill(100);
    const job = jobOf(phaseOf('t'));
    expect(await previewUndo(bench.target, job)).toBeUndefined();
    await runToEnd(bench.target, job);
    await undoSlice(bench.target, job, { untilMs: 0 });
    expect(await previewUndo(bench.target, job)).toMatchObject({ rows: 90, kept: { rows: 0 } });
    await undoToEnd(bench.target, job);
    expect(await previewUndo(bench.target, job)).toMatchObject({ rows: 0, kept: { rows: 0 } });
    const withoutWay = { ...job, phase: { ...job.phase, undo: { kind: 'none' as const } } };
    expect(await previewUndo(bench.target, withoutWay)).toBeUndefined();
  });

  it('leaves to a statement of the plan which rows it changes', async () => {
    await bench.sql('ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (old)');
    await fill(10);
    const statement = 'UPDATE t SET new = NULL WHERE old = ANY (:keys)';
    const job = jobOf(phaseOf('t', { undo: { kind: 'sql', statement } }));
    await runToEnd(bench.target, job);
    expect(await previewUndo(bench.target, job)).toEqual({ rows: 10, exact: true, kept: null });
  });

  it('knows rows that were copied into another table', async () => {
    await bench.sql('DROP TABLE IF EXISTS copies');
    await bench.sql(
      'CREATE TABLE copies (id int PRIMARY KEY, value int, seen boolean NOT NULL DEFAULT false)',
    );
    await fill(10);
    const transform = {
      kind: 'insert' as const,
      into: 'copies',
      values: { id: 'old', value: 'new' },
      identifiedBy: ['id'],
    };
    const job = jobOf(phaseOf('t', { transform }));
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE copies SET value = 0 WHERE id = 1; UPDATE copies SET seen = true WHERE id = 2');
    expect(await previewUndo(bench.target, job)).toMatchObject({
      rows: 10,
      kept: { rows: 2, how: 'counted' },
    });
    expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 8, kept: 2 });
  });
});
