import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ambiguous,
  defineTransform,
  migrated,
  skipped,
  type TransformRow,
} from '../../src/engine/transform/transform.ts';
import { undoRows } from '../../src/engine/undo/undo-rows.ts';
import { type Bench, exceptionsOf, openBench, runToEnd, transformJob } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int)');
  await bench.sql('INSERT INTO t SELECT n, n FROM generate_series(1, 20) n');
});

/** Doubles numbers; runs the statements once, when the first batch was read and before it is derived. */
function doubling(...meanwhile: string[]) {
  let batches = 0;
  const transform = ({ old }: TransformRow<'old'>) => {
    if (old === 'none') return skipped();
    if (old === 'unclear') return ambiguous('which one?');
    return migrated({ new: Number(old) * 2 });
  };
  return defineTransform({
    name: 'doubled',
    version: 1,
    reads: ['old'],
    writes: ['new'],
    prefetch: async () => {
      batches += 1;
      if (batches === 1) for (const sql of meanwhile) await bench.sql(sql);
    },
    transform,
  });
}

const wrong = () =>
  bench.sql(
    `SELECT id, old, new FROM t WHERE new IS DISTINCT FROM CASE WHEN old ~ '^\\d+$' THEN old::int * 2 END`,
  );

describe('rows that the application changes after they were read, and before they are written', () => {
  it.each([
    ['one of a batch', 'id = 3'],
    ['all of a batch', 'id BETWEEN 1 AND 10'],
  ])('are derived again: %s', async (_, which) => {
    const transform = doubling(`UPDATE t SET old = old::int + 100 WHERE ${which}`);
    const counts = await runToEnd(bench.target, transformJob('t', transform));
    expect(counts).toMatchObject({ processed: 20, migrated: 20 });
    expect(await wrong()).toEqual([]);
  });

  it('are derived again also when another key, the journal or a partition is in the way', async () => {
    await bench.sql('DROP TABLE t');
    await bench.sql(
      'CREATE TABLE t (id text, part int, old text, new int, PRIMARY KEY (id, part)) PARTITION BY LIST (part)',
    );
    await bench.sql('CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)');
    await bench.sql('CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2)');
    await bench.sql(`INSERT INTO t SELECT 'é"' || n, n % 2 + 1, n FROM generate_series(1, 40) n`);
    const transform = doubling('UPDATE t SET old = old::int + 100 WHERE old::int % 3 = 0');
    const job = transformJob('t', transform);
    expect(await runToEnd(bench.target, job)).toMatchObject({ processed: 40, migrated: 40 });
    expect(await wrong()).toEqual([]);
  });

  it('are undone to what the application made of them', async () => {
    const job = transformJob('t', doubling('UPDATE t SET new = 500 WHERE id = 3'));
    await runToEnd(bench.target, job);
    expect(await undoRows(bench.target, job, [['3']])).toMatchObject({ restored: [['3']] });
    expect(await bench.sql('SELECT new FROM t WHERE id = 3')).toEqual([{ new: 500 }]);
  });

  it('are counted once, as what they are in the end, whatever they were when they were read', async () => {
    await bench.sql(`UPDATE t SET old = CASE WHEN id % 2 = 0 THEN 'none' ELSE 'unclear' END WHERE id <= 4`);
    const job = transformJob(
      't',
      doubling(
        'UPDATE t SET old = 1 WHERE id IN (1, 2)',
        `UPDATE t SET old = 'unclear' WHERE id IN (4, 5)`,
        `UPDATE t SET old = 'none' WHERE id = 6`,
      ),
    );
    expect(await runToEnd(bench.target, job)).toEqual({
      processed: 20,
      migrated: 16,
      skipped: 1,
      ambiguous: 3,
      failed: 0,
    });
    expect((await exceptionsOf(bench.target, job)).map(({ key }) => key).sort()).toEqual([
      ['3'],
      ['4'],
      ['5'],
    ]);
    expect(await wrong()).toEqual([]);
  });

  it('are left out when they are gone or no longer meet the condition, and set aside when nothing fits them', async () => {
    await bench.sql(`UPDATE t SET old = 'none' WHERE id = 8`);
    const job = transformJob(
      't',
      doubling(
        'DELETE FROM t WHERE id IN (2, 8)',
        'UPDATE t SET id = id + 1000 WHERE id = 3',
        `UPDATE t SET old = 'far' WHERE id = 4`,
        `UPDATE t SET old = 'too much' WHERE id = 5`,
      ),
      { where: `old <> 'far'` },
    );
    expect(await runToEnd(bench.target, job)).toEqual({
      processed: 16,
      migrated: 15,
      skipped: 0,
      ambiguous: 0,
      failed: 1,
    });
    expect(await exceptionsOf(bench.target, job)).toMatchObject([{ key: ['5'], kind: 'failed' }]);
  });

  it('leave what was inserted since to the application, as whatever lies behind a batch', async () => {
    await bench.sql('DELETE FROM t WHERE id = 5');
    const job = transformJob('t', doubling(`INSERT INTO t VALUES (5, '5', 10)`));
    expect(await runToEnd(bench.target, job)).toMatchObject({ processed: 19, migrated: 19 });
    expect(await wrong()).toEqual([]);
  });
});
