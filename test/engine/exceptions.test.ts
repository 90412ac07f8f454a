import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { RowCounts } from '../../src/domain/counts.ts';
import type { DecisionResult, ExceptionDecision, ExceptionFilter } from '../../src/domain/row-exception.ts';
import { listExceptions, readCheckpoint } from '../../src/engine/backfill/records.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { decideExceptions } from '../../src/engine/exceptions/decide.ts';
import type { BackfillJob } from '../../src/engine/job.ts';
import {
  ambiguous,
  defineTransform,
  migrated,
  skipped,
  type Transform,
} from '../../src/engine/transform/transform.ts';
import { undoRows } from '../../src/engine/undo/undo-rows.ts';
import { forgetRun } from '../../src/targets/postgres/own-schema.ts';
import { uniqueName } from '../support/unique-name.ts';
import {
  type Bench,
  exceptionsOf,
  jobOf,
  ODD_SETTINGS,
  openBench,
  phaseOf,
  runToEnd,
  transformJob,
  undoToEnd,
} from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench(ODD_SETTINGS);
});
afterAll(() => bench.close());

/** `old` is a number, or says what becomes of the row. */
beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int, label varchar(5), gone boolean)');
  await bench.sql('INSERT INTO t SELECT n, n::text FROM generate_series(1, 25) n');
});

const byCast = { kind: 'sql', set: { new: 'old::int' } } as const;

/** `?5` is ambiguous and probably 5; `?` is just ambiguous; `-` needs nothing; all else is taken for the number. */
const guess = defineTransform({
  name: 'guess',
  version: 1,
  reads: ['old'],
  writes: ['new', 'label'],
  transform: ({ old }) => {
    const text = String(old);
    if (text === '-') return skipped();
    if (text === '?') return ambiguous('nobody knows');
    if (text.startsWith('?')) return ambiguous('two numbers match', { new: Number(text.slice(1)) });
    return migrated({ new: text });
  },
});

const set = (id: number, old: string) => bench.sql('UPDATE t SET old = $2 WHERE id = $1', [id, old]);
const rowOf = async (id: number) =>
  (
    await bench.sql<{ new: number | null; label: string | null }>('SELECT new, label FROM t WHERE id = $1', [
      id,
    ])
  )[0];

async function countsOf({ runId, phase }: BackfillJob): Promise<RowCounts> {
  const checkpoint = await readCheckpoint(bench.target, runId, phase.name);
  if (!checkpoint) throw new Error('there is no checkpoint');
  const { processed, migrated, skipped, ambiguous, failed } = checkpoint.counts;
  expect(migrated + skipped + ambiguous + failed).toBe(processed);
  return checkpoint.counts;
}

/** Decides as Olga, in a request of its own. */
async function decide(
  job: BackfillJob,
  decision: ExceptionDecision,
  filter: ExceptionFilter = {},
  request = uniqueName('request'),
): Promise<DecisionResult> {
  const options = { request, by: 'olga', decision, filter, note: 'because' };
  const { done, ...result } = await decideExceptions(bench.target, job, options);
  expect(done).toBe(true);
  return result;
}

async function idOf(job: BackfillJob, key: number): Promise<string> {
  const found = (await exceptionsOf(bench.target, job)).find((row) => row.key[0] === String(key));
  if (!found) throw new Error(`row ${key} was not set aside`);
  return found.id;
}

const statusOf = async (job: BackfillJob, key: number) =>
  (await exceptionsOf(bench.target, job)).find((row) => row.key[0] === String(key));

async function guessed(changes: Record<number, string>, transform: Transform = guess): Promise<BackfillJob> {
  for (const [id, old] of Object.entries(changes)) await set(Number(id), old);
  const job = transformJob('t', transform);
  await runToEnd(bench.target, job);
  return job;
}

const nothing = { resolved: 0, replayed: 0, skipped: 0, left: 0, examples: [], unknown: [] };

describe('resolving', () => {
  it('with a value writes it, journals the row and moves it among the counts', async () => {
    await set(7, 'seven');
    const job = jobOf(phaseOf('t', { transform: byCast }));
    await runToEnd(bench.target, job);
    const id = await idOf(job, 7);
    expect(await decide(job, { kind: 'resolve', values: { new: 7 } }, { ids: [id] })).toEqual({
      ...nothing,
      resolved: 1,
    });
    expect(await rowOf(7)).toMatchObject({ new: 7 });
    expect(await countsOf(job)).toMatchObject({ processed: 25, migrated: 25, failed: 0 });
    expect(await statusOf(job, 7)).toMatchObject({
      status: 'resolved',
      value: { new: 7 },
      note: 'because',
      decidedBy: 'olga',
      decidedAt: expect.any(Date),
      kind: 'failed',
      sqlstate: '22P02',
    });
    expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 25, kept: 0 });
    expect(await bench.sql('SELECT FROM t WHERE new IS NOT NULL')).toEqual([]);
  });

  it('accepts the suggestions of all rows with the same reason, and names those that have none', async () => {
    const job = await guessed({ 3: '?30', 4: '?40', 5: '?', 6: '?60' });
    const accept: ExceptionDecision = { kind: 'resolve' };
    expect(await decide(job, accept, { reason: 'two numbers match' })).toEqual({ ...nothing, resolved: 3 });
    expect(await bench.sql('SELECT id, new FROM t WHERE id IN (3, 4, 5, 6) ORDER BY id')).toEqual([
      { id: 3, new: 30 },
      { id: 4, new: 40 },
      { id: 5, new: null },
      { id: 6, new: 60 },
    ]);
    expect(await decide(job, accept)).toMatchObject({
      resolved: 0,
      left: 1,
      examples: [{ key: ['5'], why: expect.stringContaining('no suggestion') }],
    });
    expect(await countsOf(job)).toMatchObject({ migrated: 24, ambiguous: 1 });
    await undoToEnd(bench.target, job);
    expect(await bench.sql('SELECT FROM t WHERE new IS NOT NULL')).toEqual([]);
  });

  it('takes a bare suggestion for the value of the only column that the transform writes', async () => {
    await bench.sql('ALTER TABLE t ADD list jsonb');
    const one = defineTransform({
      name: 'one',
      version: 1,
      reads: ['id'],
      writes: ['list'],
      transform: ({ id }) => ambiguous('look at it', [{ n: id, big: 12345678901234567000 }]),
    });
    const job = await guessed({}, one);
    expect(await decide(job, { kind: 'resolve' })).toMatchObject({ resolved: 25, left: 0 });
    expect(await bench.sql('SELECT list::text FROM t WHERE id = 2')).toEqual([
      { list: '[{"n": 2, "big": 12345678901234567000}]' },
    ]);
  });

  it('refuses values that do not fit, naming the column, and writes nothing', async () => {
    const job = await guessed({ 3: '?30', 4: '?40' });
    const before = await bench.contents('t');
    const refused = (values: Record<string, unknown>) =>
      expect(decide(job, { kind: 'resolve', values })).rejects.toMatchObject({ name: 'ValueRefused' });
    await refused({ old: 'x' });
    await refused({ new: {} });
    await refused({ new: 'many' });
    await refused({ new: 99_999_999_999 });
    await refused({ label: 'too long' });
    await refused({});
    await expect(decide(job, { kind: 'resolve', values: { new: 'many' } })).rejects.toThrow(
      'column "new" (integer): invalid input syntax for type integer: "many"',
    );
    await expect(decide(job, { kind: 'resolve', values: { old: 'x' } })).rejects.toThrow(
      'column "old": the transform does not write it; it writes label, new',
    );
    expect(await bench.contents('t')).toEqual(before);
  });

  it('leaves rows open that the database refuses, says why, and writes the others', async () => {
    const job = await guessed({ 3: '?30', 4: '?9', 5: '?50' });
    await bench.sql('CREATE UNIQUE INDEX unique_new ON t (new)');
    expect(await decide(job, { kind: 'resolve' })).toMatchObject({
      resolved: 2,
      left: 1,
      examples: [{ key: ['4'], why: expect.stringContaining('Key (new)=(9) already exists') }],
    });
    expect(await statusOf(job, 4)).toMatchObject({
      status: 'open',
      reason: 'two numbers match',
      note: expect.stringContaining('the database refused the value'),
      decidedBy: null,
    });
    expect(await countsOf(job)).toMatchObject({ migrated: 24, ambiguous: 1 });
  });

  it('overwrites nobody’s change unless it is asked to', async () => {
    const job = await guessed({ 3: '?30', 4: '?40' });
    await bench.sql('UPDATE t SET new = 1 WHERE id = 3');
    await bench.sql('UPDATE t SET gone = true WHERE id = 4');
    expect(await decide(job, { kind: 'resolve' })).toMatchObject({
      resolved: 1,
      left: 1,
      examples: [{ key: ['3'], why: expect.stringContaining('changed since it was set aside') }],
    });
    expect(await rowOf(3)).toMatchObject({ new: 1 });
    expect(await decide(job, { kind: 'resolve', evenIfChanged: true })).toMatchObject({ resolved: 1 });
    expect(await rowOf(3)).toMatchObject({ new: 30 });
  });

  it('settles what there is nothing to migrate of any more: rows deleted, or out of the plan’s condition', async () => {
    await set(3, '?30');
    await set(4, '?40');
    const job = transformJob('t', guess, { where: 'gone IS NULL' });
    await runToEnd(bench.target, job);
    await bench.sql('DELETE FROM t WHERE id = 3');
    await bench.sql('UPDATE t SET gone = true WHERE id = 4');
    expect(await decide(job, { kind: 'resolve' })).toEqual({ ...nothing, skipped: 2 });
    expect(await statusOf(job, 3)).toMatchObject({
      status: 'skipped',
      note: 'the row was deleted meanwhile',
    });
    expect(await statusOf(job, 4)).toMatchObject({
      status: 'skipped',
      note: expect.stringContaining('`where`'),
    });
    expect(await rowOf(4)).toMatchObject({ new: null });
    expect(await countsOf(job)).toMatchObject({ processed: 25, migrated: 23, skipped: 2, ambiguous: 0 });
  });

  it('says of a row that was decided already by whom and when', async () => {
    const job = await guessed({ 3: '?30' });
    const ids = [await idOf(job, 3)];
    await decide(job, { kind: 'resolve' }, { ids });
    expect(await decide(job, { kind: 'resolve', values: { new: 31 } }, { ids: [...ids, '999'] })).toEqual({
      ...nothing,
      left: 1,
      examples: [{ id: ids[0], key: ['3'], why: expect.stringMatching(/^resolved already by olga at 2/) }],
      unknown: ['999'],
    });
    expect(await rowOf(3)).toMatchObject({ new: 30 });
  });
});

describe('skipping', () => {
  it('leaves the row as it is, for the reason given, and can be thought over', async () => {
    const job = await guessed({ 3: '?30', 4: '?' });
    expect(await decide(job, { kind: 'skip' }, { kind: 'ambiguous' })).toEqual({ ...nothing, skipped: 2 });
    expect(await rowOf(3)).toMatchObject({ new: null });
    expect(await countsOf(job)).toMatchObject({ migrated: 23, skipped: 2, ambiguous: 0 });
    const ids = [await idOf(job, 3)];
    expect(await decide(job, { kind: 'resolve' }, { ids })).toMatchObject({ resolved: 1 });
    expect(await countsOf(job)).toMatchObject({ migrated: 24, skipped: 1, ambiguous: 0 });
  });

  it('and resolving leave alone what does not have the status that was asked for', async () => {
    const job = await guessed({ 3: '?', 4: '?', 5: '?50' });
    await decide(job, { kind: 'skip' }, { ids: [await idOf(job, 3)] });
    expect(await decide(job, { kind: 'skip' }, { status: 'skipped' })).toEqual(nothing);
    expect(await statusOf(job, 4)).toMatchObject({ status: 'open' });
    // Row 3 has no suggestion; rows 4 and 5 were not asked about.
    expect(await decide(job, { kind: 'resolve' }, { status: 'skipped' })).toMatchObject({
      resolved: 0,
      left: 1,
      examples: [{ key: ['3'] }],
    });
    expect(await statusOf(job, 5)).toMatchObject({ status: 'open' });
  });
});

describe('replaying', () => {
  it.each(['sql', 'typescript'])(
    'by %s migrates what was corrected, and tells what is still wrong',
    async (kind) => {
      await bench.sql(`UPDATE t SET old = 'x' WHERE id IN (3, 4, 5)`);
      const parse = defineTransform({ ...guess, transform: ({ old }) => migrated({ new: old }) });
      const job = kind === 'sql' ? jobOf(phaseOf('t', { transform: byCast })) : transformJob('t', parse);
      await runToEnd(bench.target, job);
      await set(3, '33');
      await set(4, '99999999999');
      expect(await decide(job, { kind: 'replay' }, { sqlstate: '22P02' })).toMatchObject({
        replayed: 1,
        left: 2,
        examples: [
          { key: ['4'], why: expect.stringContaining('out of range') },
          { key: ['5'], why: expect.stringContaining('invalid input syntax') },
        ],
      });
      expect(await rowOf(3)).toMatchObject({ new: 33 });
      expect(await countsOf(job)).toMatchObject({ migrated: 23, failed: 2 });
      expect(await statusOf(job, 3)).toMatchObject({ status: 'replayed', decidedBy: 'olga' });
      expect(await statusOf(job, 4)).toMatchObject({ status: 'open', sqlstate: '22003' });
      expect(await undoToEnd(bench.target, job)).toMatchObject({ restored: 23 });
    },
  );

  it('follows a row from failed to ambiguous, and to what needs nothing', async () => {
    const job = await guessed({ 3: 'x', 4: 'x', 5: 'x', 6: 'x' });
    expect(await countsOf(job)).toMatchObject({ failed: 4 });
    await set(3, '?30');
    await set(4, '-');
    await set(5, '55');
    await bench.sql('DELETE FROM t WHERE id = 6');
    expect(await decide(job, { kind: 'replay' })).toMatchObject({ replayed: 1, skipped: 2, left: 1 });
    expect(await countsOf(job)).toMatchObject({ migrated: 22, skipped: 2, ambiguous: 1, failed: 0 });
    expect(await statusOf(job, 3)).toMatchObject({
      kind: 'ambiguous',
      status: 'open',
      sqlstate: null,
      acceptable: true,
    });
    expect(await statusOf(job, 4)).toMatchObject({
      status: 'skipped',
      note: expect.stringContaining('needs nothing'),
    });
    expect(await decide(job, { kind: 'resolve' })).toMatchObject({ resolved: 1 });
    expect(await rowOf(3)).toMatchObject({ new: 30 });
  });

  it('takes fewer rows at once when the transform computes for too long', async () => {
    await bench.sql(`INSERT INTO t SELECT n, n::text FROM generate_series(26, 100) n`);
    const clock = { ahead: 0, perRow: 0 };
    const now = performance.now.bind(performance);
    const spy = vi.spyOn(performance, 'now').mockImplementation(() => now() + clock.ahead);
    onTestFinished(() => spy.mockRestore());
    const slow = defineTransform({
      ...guess,
      transform: ({ old }) => {
        clock.ahead += clock.perRow;
        return clock.perRow === 0 ? ambiguous('not yet') : migrated({ new: old });
      },
    });
    const job = transformJob('t', slow, { batchSize: 200, maxBatchSize: 200 });
    await runToEnd(bench.target, job);
    clock.perRow = 1_000;
    expect(await decide(job, { kind: 'replay' })).toEqual({ ...nothing, replayed: 100 });
  });

  it('passes once over any number of rows, in batches', async () => {
    await bench.sql(`INSERT INTO t SELECT n, 'x' FROM generate_series(26, 1_300) n`);
    const job = transformJob('t', guess, { batchSize: 100, maxBatchSize: 100 });
    await runToEnd(bench.target, job);
    await bench.sql(`UPDATE t SET old = id::text WHERE id > 25 AND id % 3 = 0`);
    const fixed = Math.floor(1_300 / 3) - 8;
    expect(await decide(job, { kind: 'replay' })).toMatchObject({ replayed: fixed, left: 1_275 - fixed });
    expect(await countsOf(job)).toMatchObject({
      processed: 1_300,
      migrated: 25 + fixed,
      failed: 1_275 - fixed,
    });
  });
});

describe('a decision', () => {
  it('that is carried out again by the same name does nothing twice and says the same', async () => {
    const job = await guessed({ 3: '?30', 4: '?', 5: '?50' });
    const first = await decide(job, { kind: 'resolve' }, {}, 'the-request');
    const before = await bench.contents('t');
    const counts = await countsOf(job);
    expect(await decide(job, { kind: 'resolve' }, {}, 'the-request')).toEqual(first);
    expect(await bench.contents('t')).toEqual(before);
    expect(await countsOf(job)).toEqual(counts);
  });

  it('goes on where its time was up', async () => {
    const job = await guessed(Object.fromEntries(Array.from({ length: 25 }, (_, n) => [n + 1, `?${n}`])));
    const options = { request: 'slow', by: 'olga', decision: { kind: 'resolve' }, filter: {} } as const;
    const first = await decideExceptions(bench.target, job, options, { untilMs: 0 });
    expect(first).toMatchObject({ done: false, resolved: 10 });
    expect(await decideExceptions(bench.target, job, options)).toMatchObject({ done: true, resolved: 25 });
  });

  it('comes too late once the backfill is undone or forgotten', async () => {
    const job = await guessed({ 3: '?30' });
    await undoToEnd(bench.target, job);
    await expect(decide(job, { kind: 'resolve' })).rejects.toThrow('is being undone or was');
    await bench.target.transaction({}, (session) => forgetRun(session, job.runId));
    await expect(decide(job, { kind: 'skip' })).rejects.toMatchObject({ name: 'DecisionRefused' });
    expect(await rowOf(3)).toMatchObject({ new: null });
  });

  it('is opened again when its row is undone', async () => {
    const job = await guessed({ 3: '?30', 4: '?40' });
    await decide(job, { kind: 'resolve' });
    expect(await undoRows(bench.target, job, [['3'], ['7']])).toMatchObject({ restored: [['3'], ['7']] });
    expect(await statusOf(job, 3)).toMatchObject({ status: 'open', value: null, decidedBy: null });
    expect(await statusOf(job, 4)).toMatchObject({ status: 'resolved' });
    expect(await countsOf(job)).toMatchObject({ migrated: 24, ambiguous: 1 });
    expect(await decide(job, { kind: 'resolve', values: { new: 31, label: 'x' } })).toMatchObject({
      resolved: 1,
    });
    expect(await rowOf(3)).toEqual({ new: 31, label: 'x' });
    await undoToEnd(bench.target, job);
    expect(await bench.sql('SELECT FROM t WHERE id <> 7 AND (new IS NOT NULL OR label IS NOT NULL)')).toEqual(
      [],
    );
  });

  it('about rows that undo has kept can only be to leave them', async () => {
    const job = await guessed({});
    await bench.sql('UPDATE t SET new = -1 WHERE id = 3');
    await undoToEnd(bench.target, job);
    expect(await decide(job, { kind: 'resolve', values: { new: 1 } })).toMatchObject({
      left: 1,
      examples: [{ why: expect.stringContaining('undo-rows') }],
    });
    expect(await decide(job, { kind: 'skip' })).toMatchObject({ skipped: 1 });
    expect(await countsOf(job)).toMatchObject({ processed: 25, migrated: 25 });
  });

  it('to undo a kept row once more closes its exception', async () => {
    const job = await guessed({});
    await bench.sql('UPDATE t SET new = -1 WHERE id = 3');
    await undoToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = 3 WHERE id = 3');
    expect(await undoRows(bench.target, job, [['3']])).toMatchObject({ restored: [['3']] });
    expect(await statusOf(job, 3)).toMatchObject({ kind: 'kept', status: 'replayed' });
  });

  it('lets a backfill go on whose error budget was exceeded', async () => {
    await bench.sql(`UPDATE t SET old = 'x' WHERE id IN (3, 4, 5)`);
    const job = jobOf(phaseOf('t', { transform: byCast, errorBudget: { rows: 2, share: 1 } }));
    await expect(runSlice(bench.target, job)).rejects.toMatchObject({ name: 'BudgetExceeded' });
    await expect(runSlice(bench.target, job)).rejects.toMatchObject({ name: 'BudgetExceeded' });
    await set(3, '3');
    await decide(job, { kind: 'replay' }, { ids: [await idOf(job, 3)] });
    expect(await runToEnd(bench.target, job)).toMatchObject({ processed: 25, migrated: 23, failed: 2 });
  });
});

describe('a list of exceptions', () => {
  it('is in the order of the keys, in pages, by whatever they have in common', async () => {
    const keys = [2, 3, 10, 11, 20, 24];
    await bench.sql(
      `UPDATE t SET old = CASE WHEN id < 10 THEN 'x' ELSE '9' || repeat('9', 10) END WHERE id = ANY ($1)`,
      [keys],
    );
    const job = jobOf(phaseOf('t', { transform: byCast }));
    await runToEnd(bench.target, job);
    const { runId, phase } = job;
    const seen: number[] = [];
    let after: string | undefined;
    for (;;) {
      const page = await listExceptions(bench.target, runId, phase.name, { after, limit: 4 });
      seen.push(...page.map(({ key }) => Number(key[0])));
      if (page.length < 4) break;
      after = page.at(-1)?.id;
    }
    expect(seen).toEqual(keys);
    await decide(job, { kind: 'skip' }, { ids: [await idOf(job, 2)] });
    const found = async (filter: ExceptionFilter) =>
      (await listExceptions(bench.target, runId, phase.name, { limit: 10, filter })).map(({ key }) =>
        Number(key[0]),
      );
    expect(await found({ sqlstate: '22P02' })).toEqual([2, 3]);
    expect(await found({ sqlstate: '22P02', status: 'open' })).toEqual([3]);
    expect(await found({ reasonContains: 'out of range' })).toEqual([10, 11, 20, 24]);
    expect(await found({ reason: 'invalid input syntax for type integer: "x"', kind: 'failed' })).toEqual([
      2, 3,
    ]);
    expect(await found({ kind: 'ambiguous' })).toEqual([]);
  });
});
