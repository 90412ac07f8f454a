import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decideExceptions } from '../../../src/engine/exceptions/decide.ts';
import type { BackfillJob } from '../../../src/engine/job.ts';
import {
  ambiguous,
  defineTransform,
  failed,
  migrated,
  skipped,
} from '../../../src/engine/transform/transform.ts';
import { type Bench, exceptionsOf, jobOf, openBench, phaseOf, runToEnd, transformJob } from '../harness.ts';
import { countsOf, verifyJobOf, verifyToEnd } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

const ROWS = 40;
beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t');
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, secret text, new int)');
  await bench.sql(`INSERT INTO t SELECT n, n::text, 's3cret-' || n FROM generate_series(1, ${ROWS}) n`);
});
const write = (id: number, old: string) => bench.sql('UPDATE t SET old = $2 WHERE id = $1', [id, old]);

const decides = defineTransform({
  name: 'decides',
  version: 1,
  reads: ['old'],
  writes: ['new'],
  transform: ({ old }) => {
    switch (old) {
      case 'skip':
        return skipped('needs nothing');
      case 'unclear':
        return ambiguous('unclear', 7);
      case 'wrong':
        return failed('wrong');
      default:
        return migrated({ new: old });
    }
  },
});
const byFunction = (given: Parameters<typeof transformJob>[2] = {}) => transformJob('t', decides, given);
const byExpression = (given: Parameters<typeof phaseOf>[1] = {}) =>
  jobOf(phaseOf('t', { transform: { kind: 'sql', set: { new: 'old::int' } }, ...given }));

const decide = (job: BackfillJob, kind: 'skip' | 'replay' | 'resolve', filter = {}) =>
  decideExceptions(bench.target, job, {
    request: `${kind}-${Math.random()}`,
    by: 'ada',
    decision: { kind },
    filter,
  });
const summaryOf = async (job: BackfillJob) =>
  (await exceptionsOf(bench.target, job)).map(({ key, kind, status }) => `${key} ${kind} ${status}`).sort();

describe('rows that the backfill has set aside', () => {
  it('are counted apart, whatever was decided about them, and skipped ones as skipped', async () => {
    await write(3, 'skip');
    await write(14, 'unclear');
    await write(15, 'unclear');
    await write(26, 'wrong');
    await write(37, 'no number');
    const job = byFunction();
    await runToEnd(bench.target, job);
    await decide(job, 'skip', { kind: 'failed', reason: 'wrong' });
    const { resolved } = await decide(job, 'resolve', { kind: 'ambiguous' });
    expect(resolved).toBe(2);
    const counts = await verifyToEnd(bench.target, verifyJobOf(job, { onDrift: 'fail' }));
    expect(counts).toEqual(countsOf(ROWS, { skipped: 1, ambiguous: 2, failed: 2 }));
    expect(await summaryOf(job)).toEqual([
      '14 ambiguous resolved',
      '15 ambiguous resolved',
      '26 failed skipped',
      '37 failed open',
    ]);
  });

  it('are counted apart also where an SQL expression fails on them', async () => {
    for (const id of [1, 20, 21, ROWS]) await write(id, 'no number');
    const job = byExpression();
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = -1 WHERE id = 22');
    const counts = await verifyToEnd(bench.target, verifyJobOf(job));
    expect(counts).toEqual(countsOf(ROWS, { failed: 4, repaired: 1 }));
  });

  it('are rows like others again once they were replayed', async () => {
    await write(5, 'wrong');
    const job = byFunction();
    await runToEnd(bench.target, job);
    await write(5, '5');
    await decide(job, 'replay');
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(countsOf(ROWS));
    await bench.sql('UPDATE t SET new = 6 WHERE id = 5');
    const again = verifyJobOf(job, {}, { attempt: 'second' });
    expect(await verifyToEnd(bench.target, again)).toEqual(countsOf(ROWS, { repaired: 1 }));
  });
});

describe.each(['repair', 'fail'] as const)(
  'rows that cannot be derived any more (onDrift: %s)',
  (onDrift) => {
    it('become exceptions of their backfill, which counts them where they are now', async () => {
      const job = byFunction();
      await runToEnd(bench.target, job);
      await write(8, 'unclear');
      await write(9, 'wrong');
      await bench.sql(`INSERT INTO t VALUES (99, 'no number')`);
      const counts = await verifyToEnd(bench.target, verifyJobOf(job, { onDrift }));
      expect(counts).toEqual(countsOf(ROWS + 1, { ambiguous: 1, failed: 2, newlyFailed: 2 }));
      expect(await summaryOf(job)).toEqual(['8 ambiguous open', '9 failed open', '99 failed open']);
    });

    it('are found by SQL expressions too', async () => {
      const job = byExpression();
      await runToEnd(bench.target, job);
      await write(8, 'no number');
      const counts = await verifyToEnd(bench.target, verifyJobOf(job, { onDrift }));
      expect(counts).toEqual(countsOf(ROWS, { failed: 1, newlyFailed: 1 }));
      expect(await summaryOf(job)).toEqual(['8 failed open']);
    });

    it('end it when they are more than the error budget of the backfill allows', async () => {
      const job = byFunction({ errorBudget: { rows: 3, share: 1 } });
      await runToEnd(bench.target, job);
      await bench.sql(`UPDATE t SET old = 'wrong' WHERE id > 30`);
      await expect(verifyToEnd(bench.target, verifyJobOf(job, { onDrift }))).rejects.toThrow(
        '10 rows failed; the error budget allows 3 (phase "check")',
      );
    });
  },
);

describe('a row that differs', () => {
  it('is put right when its exception is replayed, and accepted when that is skipped', async () => {
    const job = byExpression();
    await runToEnd(bench.target, job);
    await bench.sql('UPDATE t SET new = -1 WHERE id IN (2, 3)');
    const check = (attempt: string) =>
      verifyToEnd(bench.target, verifyJobOf(job, { onDrift: 'fail' }, { attempt }));
    expect(await check('first')).toEqual(countsOf(ROWS, { differing: 2 }));
    const [two, three] = await exceptionsOf(bench.target, job);
    await decide(job, 'replay', { ids: [two?.id] });
    await decide(job, 'skip', { ids: [three?.id] });
    expect(await bench.sql('SELECT id, new FROM t WHERE id IN (2, 3) ORDER BY id')).toEqual([
      { id: 2, new: 2 },
      { id: 3, new: -1 },
    ]);
    expect(await check('second')).toEqual(countsOf(ROWS, { skipped: 1 }));
    expect(await summaryOf(job)).toEqual(['2 differs replayed', '3 differs skipped']);
  });

  it('is listed without the values of redacted columns, and with no more than the beginning of long ones', async () => {
    await bench.sql('ALTER TABLE t ADD COLUMN shown text, ADD COLUMN copy text');
    const set = { new: 'old::int', copy: 'secret', shown: `repeat('x', 200)` };
    const job = byExpression({ transform: { kind: 'sql', set }, redact: ['copy'] });
    await runToEnd(bench.target, job);
    await bench.sql(`UPDATE t SET new = NULL, copy = 'other', shown = 'y' WHERE id = 4`);
    await verifyToEnd(bench.target, verifyJobOf(job, { onDrift: 'fail' }));
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      {
        key: ['4'],
        reason:
          '"copy" is not what the transform makes of the row; "new" is NULL, and should be 4; ' +
          `"shown" is y, and should be ${'x'.repeat(80)}…`,
      },
    ]);
  });

  it('stays as it is, and becomes an exception, where nothing that is derived lasts', async () => {
    await bench.sql(`CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.id = 6 THEN NEW.new := NEW.new + 1000; END IF; RETURN NEW; END $$`);
    const job = byExpression();
    await runToEnd(bench.target, job);
    await bench.sql('CREATE TRIGGER meddles BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION meddle()');
    await bench.sql('ALTER TABLE t DISABLE TRIGGER meddles');
    await bench.sql('UPDATE t SET new = -5 WHERE id IN (5, 6, 7)');
    await bench.sql('ALTER TABLE t ENABLE TRIGGER meddles');
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toEqual(
      countsOf(ROWS, { repaired: 2, failed: 1, newlyFailed: 1 }),
    );
    expect(await bench.sql('SELECT id, new FROM t WHERE id IN (5, 6, 7) ORDER BY id')).toEqual([
      { id: 5, new: 5 },
      { id: 6, new: -5 },
      { id: 7, new: 7 },
    ]);
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      { key: ['6'], kind: 'failed', reason: expect.stringContaining('differs from its transform also when') },
    ]);
  });

  it('is not changed by an expression that goes on from its own result', async () => {
    const job = byExpression({ transform: { kind: 'sql', set: { new: 'coalesce(new, 1) * 10' } } });
    await runToEnd(bench.target, job);
    expect(await verifyToEnd(bench.target, verifyJobOf(job))).toMatchObject({ repaired: 0, failed: ROWS });
    expect(await bench.sql('SELECT FROM t WHERE new <> 10')).toEqual([]);
  });
});
