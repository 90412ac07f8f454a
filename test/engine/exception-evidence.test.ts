import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { readCheckpoint } from '../../src/engine/backfill/records.ts';
import { dryRunBackfill } from '../../src/engine/dry-run/dry-run.ts';
import { decideExceptions } from '../../src/engine/exceptions/decide.ts';
import type { BackfillJob } from '../../src/engine/job.ts';
import { ambiguous, defineTransform, failed, migrated } from '../../src/engine/transform/transform.ts';
import { undoRows } from '../../src/engine/undo/undo-rows.ts';
import type { backfillPhase } from '../../src/plan/schema/backfill.ts';
import { selectChangedExceptions } from '../../src/targets/postgres/backfill/exception-changes.ts';
import { insertExceptions } from '../../src/targets/postgres/backfill/exceptions.ts';
import { sqlState } from '../../src/targets/postgres/errors.ts';
import { until } from '../support/until.ts';
import {
  type Bench,
  exceptionsOf,
  jobOf,
  openBench,
  phaseOf,
  runToEnd,
  transformJob,
  undoToEnd,
} from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

const SECRET = '"Ann.Secret"@example.com';

beforeEach(async () => {
  await bench.sql('DROP TABLE IF EXISTS t, copies CASCADE');
  await bench.sql(
    'CREATE TABLE t (id int PRIMARY KEY, email text, plain text, new int, handle varchar(10) UNIQUE, list jsonb)',
  );
  await bench.sql(
    `INSERT INTO t (id, email, plain) SELECT n, 'user' || n || '@example.com', n::text FROM generate_series(1, 5) n`,
  );
});

/** Runs the backfill and gives the only exception that it leaves. */
async function only(job: BackfillJob) {
  await runToEnd(bench.target, job);
  const found = await exceptionsOf(bench.target, job);
  expect(found).toHaveLength(1);
  const [exception] = found;
  if (!exception) throw new Error('no row was set aside');
  return exception;
}

/** The SQLSTATE by which the statement fails when a person runs it. */
async function runAgain({
  statement,
  parameters,
}: {
  statement: string | null;
  parameters: unknown[] | null;
}) {
  return bench.target
    .transaction({}, async (session) => {
      await session.query(statement ?? '', parameters ?? []);
      return 'it works';
    })
    .catch(sqlState);
}

/** Everything that the target keeps of exceptions, but what accepting a suggestion writes. */
async function kept(): Promise<string> {
  const rows = await bench.sql<{ row: string }>(
    `SELECT (to_jsonb(e) - 'proposal')::text AS row FROM cutover.exception AS e`,
  );
  return rows.map(({ row }) => row).join('\n');
}

beforeEach(async () => {
  if ((await bench.sql(`SELECT to_regclass('cutover.exception') AS there`))[0]?.there)
    await bench.sql('DELETE FROM cutover.exception');
});

describe('the statement that failed', () => {
  it('is kept for a SQL transform, and fails again for the row alone', async () => {
    await bench.sql(`UPDATE t SET plain = 'x' WHERE id = 3`);
    const phase = phaseOf('t', {
      where: 'id > 1 -- not the first',
      transform: { kind: 'sql', set: { new: 'plain::int' } },
    });
    const exception = await only(jobOf(phase));
    expect(exception.statement).toMatch(
      /^UPDATE public\.t SET "new" = \(plain::int\s+\) WHERE t\."id" = \(\$1::text\)::integer/,
    );
    expect(exception.parameters).toEqual(['3']);
    expect(await runAgain(exception)).toBe('22P02');
    await bench.sql(`UPDATE t SET plain = '3' WHERE id = 3`);
    expect(await runAgain(exception)).toBe('it works');
  });

  it('is kept for a TypeScript transform with the values that were refused', async () => {
    const clash = defineTransform({
      name: 'clash',
      version: 1,
      reads: ['plain'],
      writes: ['new', 'handle'],
      transform: ({ plain }) => migrated({ new: plain, handle: plain === '5' ? '1' : plain }),
    });
    const exception = await only(transformJob('t', clash));
    expect(exception).toMatchObject({ key: ['5'], sqlstate: '23505', parameters: ['5', '5', '1'] });
    expect(exception.statement).toMatch(
      /^UPDATE public\.t SET "new" = \$2::text::integer, "handle" = \$3::text::/,
    );
    expect(await runAgain(exception)).toBe('23505');
  });

  it('is a query where the row could not even be read', async () => {
    await bench.sql(`UPDATE t SET plain = 'x' WHERE id = 3`);
    const copy = defineTransform({
      name: 'copy',
      version: 1,
      reads: ['plain'],
      writes: ['new'],
      transform: () => migrated({ new: 1 }),
    });
    const exception = await only(transformJob('t', copy, { where: 'plain::int > 0' }));
    expect(exception.statement).toMatch(/^SELECT t\."plain" FROM public\.t WHERE/);
    expect(await runAgain(exception)).toBe('22P02');
  });

  it('is none where the transform itself failed or could not decide', async () => {
    const refuse = defineTransform({
      name: 'refuse',
      version: 1,
      reads: ['id'],
      writes: ['new'],
      transform: ({ id }) =>
        id === 1 ? failed('no') : id === 2 ? ambiguous('who knows') : migrated({ new: id }),
    });
    const job = transformJob('t', refuse);
    await runToEnd(bench.target, job);
    expect(await exceptionsOf(bench.target, job)).toMatchObject([
      { kind: 'failed', statement: null, parameters: null },
      { kind: 'ambiguous', statement: null, parameters: null },
    ]);
  });
});

describe('values of redacted columns', () => {
  const cast = { kind: 'sql', set: { new: 'email::int' } } as const;

  it('appear nowhere when a cast quotes them', async () => {
    await bench.sql(`UPDATE t SET email = id::text; UPDATE t SET email = $$${SECRET}$$ WHERE id = 3`);
    const exception = await only(jobOf(phaseOf('t', { transform: cast, redact: ['email'] })));
    expect(exception).toMatchObject({ key: ['3'], sqlstate: '22P02', parameters: ['3'] });
    expect(exception.reason).toContain('a text is no value of the type that it is cast to (SQLSTATE 22P02');
    expect(await kept()).not.toContain('Secret');
  });

  it.each([
    ['ALTER TABLE t ADD CONSTRAINT small CHECK (new IS DISTINCT FROM 3)', '23514', 'constraint small'],
    ['ALTER TABLE t ALTER new SET NOT NULL', '23502', 'column new'],
    [
      `CREATE UNIQUE INDEX same ON t ((CASE WHEN new IN (2, 3) THEN email END)) WHERE new IS NOT NULL; UPDATE t SET email = '${SECRET}' WHERE id = 2`,
      '23505',
      'constraint same',
    ],
    [
      `CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         IF NEW.id = 3 THEN RAISE unique_violation USING MESSAGE = 'not ' || NEW.email, DETAIL = 'Key (plain)=(' || NEW.email || ')', HINT = NEW.email; END IF;
         RETURN NEW; END $$; CREATE TRIGGER refuse BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION refuse()`,
      '23505',
      'the server’s own words',
    ],
  ])('appear nowhere when a constraint or trigger tells the row: %s', async (statement, sqlstate, told) => {
    await bench.sql(`UPDATE t SET new = 0, email = CASE id WHEN 3 THEN '${SECRET}' ELSE email END`);
    for (const one of statement.split('; CREATE TRIGGER'))
      await bench.sql(one === statement || one.startsWith('CREATE OR') ? one : `CREATE TRIGGER${one}`);
    const set = { new: sqlstate === '23502' ? 'nullif(id, 3)' : 'id' };
    const exception = await only(jobOf(phaseOf('t', { transform: { kind: 'sql', set }, redact: ['email'] })));
    expect(exception).toMatchObject({ key: ['3'], sqlstate });
    expect(exception.reason.toLowerCase()).toContain(told.toLowerCase());
    expect(await kept()).not.toContain('Secret');
  });

  it('are left out of a key that PostgreSQL tells; other keys are told', async () => {
    await bench.sql(`UPDATE t SET handle = 'taken' WHERE id = 1`);
    const to = (column: string) =>
      jobOf(
        phaseOf('t', {
          transform: { kind: 'sql', set: { [column]: `'taken'` } },
          where: 'id = 3',
          redact: ['email'],
        }),
      );
    expect((await only(to('handle'))).reason).toContain('Key (handle)=(taken)');
    await bench.sql('DELETE FROM cutover.exception');
    await bench.sql(`CREATE UNIQUE INDEX by_email ON t (email); UPDATE t SET email = 'taken' WHERE id = 1`);
    expect((await only(to('email'))).reason).toContain('Key (email)=([redacted])');
  });

  it('appear in no reason, suggestion or parameter of a TypeScript transform, and are accepted all the same', async () => {
    await bench.sql(`UPDATE t SET email = $$${SECRET}$$ WHERE id <= 3`);
    const leaky = defineTransform({
      name: 'leaky',
      version: 1,
      reads: ['id', 'email'],
      writes: ['handle', 'list'],
      transform: ({ id, email }) => {
        if (id === 1)
          return ambiguous(`two accounts have ${email}`, { handle: 'Secret', list: [`<${email}>`] });
        if (id === 2) return failed(`${email} is nobody's`);
        if (id === 3) return migrated({ handle: 'Secret-is-too-long', list: [email, `"${email}"`] });
        if (id === 4) return JSON.parse('Secret{');
        return migrated({ handle: 'fine' });
      },
    });
    const job = transformJob('t', leaky, { redact: ['email', 'handle'] });
    await runToEnd(bench.target, job);
    const found = await exceptionsOf(bench.target, job);
    expect(found).toMatchObject([
      {
        reason: 'two accounts have [redacted]',
        suggestion: { handle: '[redacted]', list: ['<[redacted]>'] },
      },
      { reason: "[redacted] is nobody's" },
      { sqlstate: '22001', parameters: ['3', '[redacted]', '["[redacted]","\\"[redacted]\\""]'] },
      { reason: expect.stringMatching(/^the transform threw SyntaxError; its message is left out/) },
    ]);
    expect(await kept()).not.toContain('Secret');
    await decideExceptions(bench.target, job, {
      request: 'r',
      by: 'olga',
      decision: { kind: 'resolve' },
      filter: {},
    });
    expect(await bench.sql('SELECT handle, list FROM t WHERE id = 1')).toEqual([
      { handle: 'Secret', list: [`<${SECRET}>`] },
    ]);
    expect(await kept()).not.toContain('Secret');
    const byHand = { kind: 'resolve', values: { handle: 'Secret' } } as const;
    await expect(
      decideExceptions(bench.target, job, { request: 's', by: 'olga', decision: byHand, filter: {} }),
    ).rejects.toThrow('column "handle": the plan redacts it');
  });

  it('appear in no sample or finding of a dry run', async () => {
    await bench.sql(`UPDATE t SET email = $$${SECRET}$$`);
    const copy = {
      kind: 'sql',
      set: { handle: 'left(email, 3)', new: 'CASE WHEN id > 2 THEN email::int END' },
    } as const;
    const report = await dryRunBackfill(
      bench.target,
      jobOf(phaseOf('t', { transform: copy, redact: ['email', 'handle'] })),
    );
    expect(report.samples[0]?.after).toEqual({ handle: '[redacted]', new: null });
    const leaky = defineTransform({
      name: 'leaky',
      version: 1,
      reads: ['id', 'email'],
      writes: ['handle'],
      transform: ({ id, email }) =>
        id === 1 ? ambiguous(`is it ${email}?`, email) : migrated({ handle: email }),
    });
    const byTransform = await dryRunBackfill(
      bench.target,
      transformJob('t', leaky, { redact: ['email', 'handle'] }),
    );
    const told = JSON.stringify([report, byTransform]);
    expect(told).not.toContain('Secret');
    expect(told).toContain('is it [redacted]?');
  });

  it('appear in no reason for which undo has kept a row', async () => {
    await bench.sql(
      `CREATE UNIQUE INDEX by_email ON t (email); UPDATE t SET email = $$${SECRET}$$ WHERE id = 3`,
    );
    const job = jobOf(
      phaseOf('t', { transform: { kind: 'sql', set: { email: `'moved' || id` } }, redact: ['email'] }),
    );
    await runToEnd(bench.target, job);
    await bench.sql('INSERT INTO t (id, email) VALUES (9, $1)', [SECRET]);
    expect(await undoToEnd(bench.target, job)).toMatchObject({ kept: 1 });
    expect(await exceptionsOf(bench.target, job)).toMatchObject([{ kind: 'kept', sqlstate: '23505' }]);
    expect(await kept()).not.toContain('Secret');
  });
});

describe('rows for another table', () => {
  beforeEach(() => bench.sql('CREATE TABLE copies (t_id int PRIMARY KEY, amount int NOT NULL, note text)'));
  const insert = {
    kind: 'insert',
    into: 'copies',
    values: { t_id: 'id', amount: 'plain::int', note: `'from ' || email` },
    identifiedBy: ['t_id'],
  } satisfies z.input<typeof backfillPhase>['transform'];

  it('are resolved by values of that table; what is not given comes from the plan', async () => {
    await bench.sql(`UPDATE t SET plain = 'x' WHERE id IN (3, 4)`);
    const job = jobOf(phaseOf('t', { transform: insert }));
    await runToEnd(bench.target, job);
    const [third] = await exceptionsOf(bench.target, job);
    if (!third) throw new Error('no row was set aside');
    expect(third.statement).toMatch(/^INSERT INTO copies \("t_id", "amount", "note"\) SELECT/);
    expect(await runAgain(third)).toBe('22P02');
    const by = { request: 'r', by: 'olga' };
    const resolve = (values: Record<string, unknown>) =>
      decideExceptions(bench.target, job, {
        ...by,
        decision: { kind: 'resolve', values },
        filter: { ids: [third.id] },
      });
    await expect(resolve({ new: 3 })).rejects.toThrow('it writes amount, note, t_id');
    expect(await resolve({ amount: 33 })).toMatchObject({ resolved: 1, left: 0 });
    await bench.sql(`UPDATE t SET plain = '44' WHERE id = 4`);
    expect(
      await decideExceptions(bench.target, job, {
        request: 's',
        by: 'olga',
        decision: { kind: 'replay' },
        filter: {},
      }),
    ).toMatchObject({ replayed: 1, left: 0 });
    expect(await bench.sql('SELECT amount, note FROM copies WHERE t_id IN (3, 4) ORDER BY t_id')).toEqual([
      { amount: 33, note: 'from user3@example.com' },
      { amount: 44, note: 'from user4@example.com' },
    ]);
    const { runId, phase } = job;
    expect((await readCheckpoint(bench.target, runId, phase.name))?.counts).toMatchObject({
      migrated: 5,
      failed: 0,
    });
    await undoToEnd(bench.target, job);
    expect(await bench.contents('copies')).toEqual([]);
  });
});

it('undoing a copy opens no exception of a row that has the same key by chance', async () => {
  await bench.sql('CREATE TABLE copies (t_id int PRIMARY KEY, amount int NOT NULL)');
  await bench.sql(`UPDATE t SET plain = 'x' WHERE id IN (3, 4)`);
  const transform = {
    kind: 'insert',
    into: 'copies',
    values: { t_id: 'id + 1', amount: 'plain::int' },
    identifiedBy: ['t_id'],
  } satisfies z.input<typeof backfillPhase>['transform'];
  const job = jobOf(phaseOf('t', { transform }));
  await runToEnd(bench.target, job);
  const decision = { kind: 'resolve', values: { amount: 1 } } as const;
  await decideExceptions(bench.target, job, { request: 'r', by: 'olga', decision, filter: {} });
  expect(await undoRows(bench.target, job, [['4']])).toMatchObject({ restored: [['4']] });
  expect(await bench.sql('SELECT t_id FROM copies ORDER BY t_id')).toEqual(
    [2, 3, 5, 6].map((t_id) => ({ t_id })),
  );
  expect((await exceptionsOf(bench.target, job)).map(({ status }) => status)).toEqual([
    'resolved',
    'resolved',
  ]);
});

describe('changes of exceptions', () => {
  const read = (from?: string) =>
    bench.target.transaction({ readOnly: true }, (session) =>
      selectChangedExceptions(session, 'the-run', 'fill', { from, limit: 100 }),
    );
  const add = (key: string) =>
    bench.target.transaction({}, (session) =>
      insertExceptions(session, 'the-run', 'fill', [{ key: [key], kind: 'failed', reason: 'why' }]),
    );

  it('are all found, also when an earlier transaction commits after a later one', async () => {
    await runToEnd(bench.target, jobOf(phaseOf('t', { transform: { kind: 'sql', set: { new: 'id' } } })));
    let seen: string[] = [];
    let cursor: string | undefined;
    const copy = async () => {
      const { changed, seenUntil } = await read(cursor);
      seen = changed.map(({ key }) => key.join());
      cursor = seenUntil;
    };
    await add('1');
    await bench.target.transaction({}, async (session) => {
      await insertExceptions(session, 'the-run', 'fill', [{ key: ['slow'], kind: 'failed', reason: 'why' }]);
      await add('2');
      await copy();
      expect(seen).toEqual(['1', '2']);
      await add('3');
    });
    await copy();
    expect(seen).toEqual(expect.arrayContaining(['2', '3', 'slow']));
    // What other tests have open on the server may have changes seen several times.
    const nothingNew = async () => {
      await copy();
      return seen.length === 0;
    };
    await until(nothingNew, { what: 'all changes are known' });
    await bench.sql(`UPDATE cutover.exception SET changed_in = pg_current_xact_id() WHERE key = '["1"]'`);
    await copy();
    expect(seen).toEqual(['1']);
  });
});
