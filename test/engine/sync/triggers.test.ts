import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { drainSync } from '../../../src/engine/sync/drain.ts';
import { finishSync, removeSync } from '../../../src/engine/sync/finish.ts';
import { installSync } from '../../../src/engine/sync/install.ts';
import { preflightSync } from '../../../src/engine/sync/problems.ts';
import { loadTable } from '../../../src/targets/postgres/backfill/load-table.ts';
import { createPostgresTarget } from '../../../src/targets/postgres/connection.ts';
import { type Bench, jobOf, ODD_SETTINGS, openBench, phaseOf, runToEnd } from '../harness.ts';
import { connectApplication, noted, syncOf, triggered } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

beforeEach(async () => {
  await bench.sql('DROP SCHEMA IF EXISTS cutover CASCADE');
  await bench.sql('DROP TABLE IF EXISTS t CASCADE');
  await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new int, short varchar(3))');
});

describe('a trigger', () => {
  it('computes what the application inserts and updates, for rows that meet the condition', async () => {
    await triggered(bench, 't', { new: 't.old::int * 2' }, { where: `old <> 'none' -- a remark` });
    await bench.sql(`INSERT INTO t VALUES (1, '5', 0), (2, 'none', 7), (3, NULL, 8)`);
    await bench.sql(`INSERT INTO t VALUES (1, '6') ON CONFLICT (id) DO UPDATE SET old = excluded.old`);
    expect(await bench.contents('t')).toEqual(['(1,6,12,)', '(2,none,7,)', '(3,,8,)']);
    await bench.sql(`UPDATE t SET old = '9', id = 4 WHERE id = 1`);
    await bench.sql(`UPDATE t SET new = 1000`);
    expect(await bench.contents('t')).toEqual(['(2,none,1000,)', '(3,,1000,)', '(4,9,18,)']);
    expect(await noted(bench)).toEqual([]);
  });

  it('leaves a row as the application wrote it, and notes its key, when an expression or a constraint fails on it', async () => {
    await bench.sql(
      `ALTER TABLE t ADD CHECK (new < 100), ALTER COLUMN new SET NOT NULL, ALTER COLUMN new SET DEFAULT 0`,
    );
    await triggered(bench, 't', { short: 'old', new: 'old::int' });
    await bench.sql(`INSERT INTO t VALUES (1, '1', 1, 'a')`);
    for (const poison of [`'x'`, `'1000'`, `'100'`, 'NULL', `'12345'`]) {
      await bench.sql(`UPDATE t SET old = ${poison} WHERE id = 1`);
    }
    expect(await bench.contents('t')).toEqual(['(1,12345,1,1)']);
    expect(await noted(bench)).toEqual(Array(5).fill(['1']));
    await bench.sql(`INSERT INTO t VALUES (2, 'x', 5, 'b')`);
    expect(await bench.contents('t')).toEqual(['(1,12345,1,1)', '(2,x,5,b)']);
  });

  it('reads names as a backfill does, whatever the columns and the table are called', async () => {
    await bench.sql('CREATE SCHEMA IF NOT EXISTS "Odd one"');
    await bench.sql('DROP TABLE IF EXISTS "Odd one"."new"');
    await bench.sql(
      `CREATE TABLE "Odd one"."new" (id int PRIMARY KEY, "new" int, old int, found text, "tg_op" text, "A "" b" text, cutover_derived int)`,
    );
    const set = {
      'A " b': `new.old || found || tg_op || new.cutover_derived || (SELECT max(relname) FROM pg_class WHERE relname = 'pg_class')`,
      new: '(SELECT o.old + 1 FROM "Odd one"."new" AS o WHERE o.id = "new".id - 1)',
    };
    await triggered(bench, '"Odd one"."new"', set);
    await bench.sql(`INSERT INTO "Odd one"."new" VALUES (1, 0, 10, 'f', 'op', NULL, 3)`);
    await bench.sql(`INSERT INTO "Odd one"."new" VALUES (2, 0, 20, 'g', 'op', NULL, 3)`);
    expect(await bench.contents('"Odd one"."new"')).toEqual([
      '(1,,10,f,op,10fop3pg_class,3)',
      '(2,11,20,g,op,20gop3pg_class,3)',
    ]);
    expect(await noted(bench)).toEqual([]);
  });

  it('does not fail on a row for which the expression takes care not to', async () => {
    await bench.sql(`CREATE TABLE IF NOT EXISTS other (id int)`);
    await triggered(bench, 't', {
      new: `CASE WHEN old ~ '^[0-9]+$' AND NOT EXISTS (SELECT FROM other) THEN old::int END`,
    });
    await bench.sql(`INSERT INTO t VALUES (1, 'x'), (2, '2')`);
    expect(await noted(bench)).toEqual([]);
    expect(await bench.contents('t')).toEqual(['(1,x,,)', '(2,2,2,)']);
  });

  it('takes a row as a whole, as functions over rows of the table do', async () => {
    await bench.sql(
      `CREATE OR REPLACE FUNCTION doubled(t) RETURNS int LANGUAGE sql STABLE AS $$ SELECT $1.old::int * 2 $$`,
    );
    await triggered(bench, 't', { new: 'doubled(t)', short: 'length(row_to_json(t)::text)' });
    await bench.sql(`INSERT INTO t VALUES (1, '21')`);
    expect(await bench.sql('SELECT new FROM t')).toEqual([{ new: 42 }]);
    expect(await noted(bench)).toEqual([]);
    await bench.sql('DROP FUNCTION doubled(t) CASCADE');
  });

  it('needs no rights of the application’s role, means the same under its settings, and is deaf to its tables', async () => {
    await bench.sql('DROP SCHEMA IF EXISTS secrets CASCADE');
    await bench.sql('CREATE SCHEMA secrets; CREATE TABLE secrets.rate AS SELECT 3 AS rate');
    await bench.sql(`ALTER TABLE t ADD at timestamptz`);
    await bench.sql(
      `DO $$ BEGIN CREATE ROLE shop_application; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    );
    await bench.sql('GRANT SELECT, INSERT, UPDATE, DELETE ON t TO shop_application');
    await bench.sql('CREATE TABLE IF NOT EXISTS lookup AS SELECT 1 AS n');
    await triggered(bench, 't', {
      new: '(SELECT rate FROM secrets.rate) * (SELECT n FROM lookup)',
      old: 'at::text',
    });
    const application = await connectApplication(bench, 'shop_application');
    try {
      await application.query(
        `SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; SET search_path = pg_temp`,
      );
      await application.query('CREATE TEMPORARY TABLE lookup AS SELECT 1000 AS n');
      await application.query(`INSERT INTO public.t (id, at) VALUES (1, '2025-01-02 03:04:05+09')`);
      await expect(application.query('SELECT * FROM secrets.rate')).rejects.toThrow('permission denied');
      await expect(application.query('SELECT * FROM cutover.captured')).rejects.toThrow('permission denied');
    } finally {
      await application.end();
    }
    expect(await bench.sql('SELECT new, old FROM t')).toEqual([{ new: 3, old: '2025-01-01 18:04:05+00' }]);
  });

  it('survives changes of the table in sessions that have used it before', async () => {
    const job = await triggered(bench, 't', { new: 'length(old)' });
    const application = await connectApplication(bench);
    try {
      await application.query(`INSERT INTO t VALUES (1, 'a')`);
      for (const change of [
        'ADD COLUMN extra text',
        'DROP COLUMN short',
        'ALTER COLUMN old TYPE varchar(50)',
        'ADD COLUMN more int DEFAULT 5',
      ]) {
        await application.query(`ALTER TABLE t ${change}`);
        await application.query(`UPDATE t SET old = old || 'b'`);
      }
    } finally {
      await application.end();
    }
    await runToEnd(bench.target, jobOf(job.backfill));
    expect(await bench.sql('SELECT old, new FROM t')).toEqual([{ old: 'abbbb', new: 5 }]);
  });

  it('comes after the table’s own triggers, on every partition', async () => {
    await bench.sql('DROP TABLE t');
    await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text, new text) PARTITION BY RANGE (id)');
    await bench.sql('CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (100)');
    await bench.sql(`CREATE OR REPLACE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN NEW.old := upper(NEW.old); RETURN NEW; END $$`);
    await bench.sql('CREATE TRIGGER "zz shout" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION shout()');
    await triggered(bench, 't', { new: `old || '!'` });
    await bench.sql('CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (100) TO (200)');
    await bench.sql(`INSERT INTO t VALUES (1, 'a'), (101, 'b')`);
    await bench.sql(`INSERT INTO t_low VALUES (2, 'c')`);
    await bench.sql(`UPDATE t SET id = 150 WHERE id = 1`);
    expect(await bench.contents('t')).toEqual(['(101,B,B!)', '(150,A,A!)', '(2,C,C!)']);
  });

  it('leaves alone what its own backfill writes, but not what others write', async () => {
    await bench.sql(`INSERT INTO t VALUES (1, '1'), (2, '2')`);
    const job = await triggered(bench, 't', { new: `coalesce(new, 0) + 1` });
    const { mayRefuseWrites } = await bench.target.transaction({}, (session) =>
      loadTable(session, { table: 't', columns: {} }),
    );
    expect(mayRefuseWrites).toBe(false);
    await runToEnd(bench.target, { runId: job.runId, phase: job.backfill, transforms: job.transforms });
    expect(await bench.sql('SELECT new FROM t ORDER BY id')).toEqual([{ new: 1 }, { new: 1 }]);
    await runToEnd(bench.target, jobOf(phaseOf('t', { transform: { kind: 'sql', set: { short: `'x'` } } })));
    expect(await bench.sql('SELECT new FROM t ORDER BY id')).toEqual([{ new: 2 }, { new: 2 }]);
  });

  it('is refused where it could not do its work', async () => {
    await bench.sql('CREATE OR REPLACE VIEW v AS SELECT * FROM t');
    await bench.sql('ALTER TABLE t ADD doubled int GENERATED ALWAYS AS (id * 2) STORED');
    const install = (table: string, set: Record<string, string>) =>
      triggered(bench, table, set, { key: ['id'] });
    await expect(install('v', { new: 'id' })).rejects.toThrow('triggers need a table, and v is none');
    await expect(install('t', { new: 't.doubled + 1' })).rejects.toThrow('an expression reads "doubled"');
    await expect(install('t', { newer: 'id' })).rejects.toThrow('no column "newer"');
    await expect(install('t', { new: 'id + missing' })).rejects.toThrow('column "missing" does not exist');
    await expect(install('nowhere', { new: 'id' })).rejects.toThrow('the target has no table "nowhere"');
    expect(await bench.sql(`SELECT FROM pg_trigger WHERE tgname LIKE '%cutover%'`)).toEqual([]);
    await bench.sql('DROP VIEW v');
  });
});

describe('before a run', () => {
  const problems = (table: string, given = {}) =>
    preflightSync(bench.target, syncOf(phaseOf(table), given).phase, phaseOf(table));

  it('everything is told that keeps triggers off a table', async () => {
    expect(await problems('t')).toEqual([]);
    expect(await problems('nowhere')).toMatchObject([
      { path: 'backfill', problem: 'the target has no table "nowhere"' },
    ]);
    await bench.sql('CREATE VIEW v AS SELECT * FROM t; CREATE TABLE child () INHERITS (t)');
    expect(await problems('v')).toMatchObject([
      { path: 'mode', problem: 'triggers need a table, and v is none' },
    ]);
    expect(await problems('t', { mode: 'capture' })).toMatchObject([
      { path: 'mode', problem: expect.stringContaining('other tables inherit from t') },
    ]);
    expect(await problems('v', { mode: 'application' })).toEqual([]);
  });

  it('a role that owns nothing is told which right it lacks, and needs no other', async () => {
    await bench.sql(
      `DO $$ BEGIN CREATE ROLE shop_migrator; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    );
    await bench.sql(`GRANT SELECT, UPDATE ON t TO shop_migrator`);
    await bench.sql(
      `DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO shop_migrator', current_database()); END $$`,
    );
    const migrator = createPostgresTarget({ name: 'migrator', url: roleUrl('shop_migrator'), poolSize: 2 });
    try {
      const job = syncOf(phaseOf('t', { transform: { kind: 'sql', set: { new: '7' } } }));
      expect(await preflightSync(migrator, job.phase, job.backfill)).toMatchObject([
        { path: 'mode', fix: 'GRANT TRIGGER ON t to it, or use the role that owns the table' },
      ]);
      await bench.sql('GRANT TRIGGER ON t TO shop_migrator');
      expect(await preflightSync(migrator, job.phase, job.backfill)).toEqual([]);
      await installSync(migrator, job);
      await bench.sql(`INSERT INTO t VALUES (1, 'a')`);
      expect(await bench.contents('t')).toEqual(['(1,a,7,)']);
      expect(await finishSync(migrator, job)).toMatchObject({ done: true });
      expect(await bench.sql(`SELECT FROM pg_trigger WHERE tgname LIKE '%cutover%'`)).toEqual([]);
    } finally {
      await migrator.close();
    }
  });

  function roleUrl(role: string): string {
    const url = new URL(bench.url);
    url.searchParams.set('options', `-c role=${role}`);
    return url.href;
  }
});

describe('copies by trigger', () => {
  const copies = (given = {}) =>
    phaseOf('t', {
      transform: {
        kind: 'insert',
        into: 'copies',
        values: { source: `'t'`, copy_id: 't.id', amount: 'old::numeric' },
        identifiedBy: ['source', 'copy_id'],
        onConflict: 'update',
        ...given,
      },
      where: `old <> 'none'`,
    });

  beforeEach(async () => {
    await bench.sql('DROP TABLE IF EXISTS copies');
    await bench.sql(
      `CREATE TABLE copies (source text, copy_id bigint, amount numeric(10,2), PRIMARY KEY (source, copy_id))`,
    );
    await bench.sql(`INSERT INTO copies VALUES ('other', 1, 0)`);
  });

  it('follow their rows: inserted, updated, under a new key, deleted; others stay', async () => {
    await installSync(bench.target, syncOf(copies()));
    await bench.sql(`INSERT INTO t VALUES (1, '1.234'), (2, 'none'), (3, '3')`);
    expect(await bench.contents('copies')).toEqual(['(other,1,0.00)', '(t,1,1.23)', '(t,3,3.00)']);
    await bench.sql(`UPDATE t SET old = '5' WHERE id = 1`);
    await bench.sql(`UPDATE t SET id = 4 WHERE id = 3`);
    await bench.sql(`DELETE FROM t WHERE id = 2`);
    expect(await bench.contents('copies')).toEqual(['(other,1,0.00)', '(t,1,5.00)', '(t,4,3.00)']);
    await bench.sql(`DELETE FROM t WHERE id = 1`);
    expect(await bench.contents('copies')).toEqual(['(other,1,0.00)', '(t,4,3.00)']);
  });

  it('stay when their row goes, where several rows may share one', async () => {
    await installSync(
      bench.target,
      syncOf(copies({ values: { source: `'t'`, copy_id: 'new', amount: '1' } })),
    );
    await bench.sql(`INSERT INTO t VALUES (1, 'a', 7), (2, 'b', 7)`);
    await bench.sql(`DELETE FROM t WHERE id = 1`);
    expect(await bench.contents('copies')).toEqual(['(other,1,0.00)', '(t,7,1.00)']);
  });

  it('that cannot be made do not keep the application from writing; the key is noted', async () => {
    await installSync(bench.target, syncOf(copies()));
    await bench.sql(`INSERT INTO t VALUES (1, '1'), (2, 'x'), (3, '999999999999')`);
    await bench.sql(`ALTER TABLE copies RENAME TO gone`);
    await bench.sql(`UPDATE t SET id = 9 WHERE id = 1`);
    await bench.sql(`DELETE FROM t WHERE id = 9`);
    expect(await noted(bench)).toEqual([['2'], ['3'], ['1'], ['9'], ['9']]);
    await bench.sql(`DROP TABLE gone`);
  });
});

describe('keys that are noted', () => {
  it('are spelt as a backfill spells them, whatever the application’s settings', async () => {
    await bench.sql('CREATE TABLE IF NOT EXISTS odd (at timestamptz, b bytea, v int, PRIMARY KEY (at, b))');
    const phase = phaseOf('odd', { transform: { kind: 'sql', set: { v: '1' } } });
    const job = syncOf(phase, { mode: 'capture' });
    await installSync(bench.target, job);
    const application = await connectApplication(bench);
    try {
      await application.query(
        ODD_SETTINGS.replaceAll('-c ', '; SET ')
          .slice(1)
          .replaceAll(/=(\S+)/g, ` = '$1'`),
      );
      await application.query(`INSERT INTO odd VALUES ('2025-02-03 04:05:06+01', '\\x00ff')`);
    } finally {
      await application.end();
    }
    expect(await noted(bench)).toEqual([['2025-02-03 03:05:06+00', '\\x00ff']]);
    await removeSync(bench.target, job);
    await bench.sql('DROP TABLE odd');
  });

  it('are those of rows whose columns have changed in a way that matters', async () => {
    await bench.sql('ALTER TABLE t ADD doc json, ADD unrelated int');
    const parse = {
      name: 'parse',
      version: 1,
      reads: ['doc', 'old'],
      writes: ['new'],
      transform: () => ({ outcome: 'skipped' as const }),
    };
    const phase = phaseOf('t', {
      transform: { kind: 'registered', name: 'parse', version: 1 },
      where: 'short IS NULL',
    });
    await installSync(bench.target, syncOf(phase, { mode: 'capture' }, [parse]));
    await bench.sql(`INSERT INTO t (id, doc, old) VALUES (1, '{}', 'a')`);
    await bench.sql(`UPDATE t SET unrelated = 5, old = 'a'`);
    await bench.sql(`DELETE FROM t WHERE id = 99`);
    expect(await noted(bench)).toEqual([['1']]);
    for (const change of [`doc = '{ }'`, `old = NULL`, `new = 4`, `short = 'x'`, 'id = 2']) {
      await bench.sql(`UPDATE t SET ${change}`);
    }
    expect(await noted(bench)).toEqual([['1'], ['1'], ['1'], ['1'], ['1'], ['2']]);
  });

  it('wait for the backfill to begin, the latest of each key alone', async () => {
    const job = syncOf(phaseOf('t', { transform: { kind: 'sql', set: { new: 'old::int' } } }), {
      mode: 'capture',
    });
    await installSync(bench.target, job);
    await bench.sql(`INSERT INTO t VALUES (1, '1')`);
    await bench.sql(`DO $$ BEGIN FOR i IN 1..10001 LOOP UPDATE t SET old = i; END LOOP; END $$`);
    expect(await drainSync(bench.target, job)).toMatchObject({ begun: false, keys: 0 });
    expect(await noted(bench)).toEqual([['1']]);
  });
});
