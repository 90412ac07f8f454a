import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackfillPhase } from '../../src/domain/plan.ts';
import { preflightBackfill } from '../../src/engine/preflight/preflight.ts';
import { defineTransform, skipped, TransformRegistry } from '../../src/engine/transform/transform.ts';
import { type Bench, openBench, phaseOf } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
  // Of the same rows twice: once by a key in the order of its index, once by the other order.
  await bench.sql(`CREATE TABLE orders (id int PRIMARY KEY, shop int NOT NULL, number int NOT NULL,
                     code text NOT NULL, total text, amount text, UNIQUE (number, shop), UNIQUE (code))`);
  await bench.sql(
    `INSERT INTO orders SELECT n, n % 1000, n / 1000, md5(n::text), repeat('x', 100) FROM generate_series(1, 100000) n`,
  );
  await bench.sql('CREATE TABLE refunds (id int PRIMARY KEY, order_id int NOT NULL, note text)');
  await bench.sql(`INSERT INTO refunds SELECT n, n * 2, repeat('y', 150) FROM generate_series(1, 50000) n`);
  await bench.sql('CREATE TABLE "Rates" ("Code" int, rate text)');
  await bench.sql(`INSERT INTO "Rates" SELECT n, n::text FROM generate_series(1, 10000) n`);
  await bench.sql('CREATE TABLE colours (code int, name text)');
  await bench.sql(`INSERT INTO colours SELECT n, n::text FROM generate_series(1, 50) n`);
  await bench.sql('ANALYZE');
});
afterAll(() => bench.close());

const reader = defineTransform({
  name: 'reader',
  version: 1,
  reads: ['total'],
  writes: ['amount'],
  transform: () => skipped(),
});

const check = (given: Partial<BackfillPhase> = {}, table = 'orders') =>
  preflightBackfill(
    bench.target,
    {
      ...phaseOf(table, { transform: { kind: 'sql', set: { amount: 'total' } }, batchSize: 1000 }),
      ...given,
    },
    new TransformRegistry([reader]),
  );

const sets = (amount: string) => ({ transform: { kind: 'sql', set: { amount } } as const });
const registered = { transform: { kind: 'registered', name: 'reader', version: 1, threads: 0 } as const };
const added = { columns: { later: 'text' }, transform: { kind: 'sql', set: { later: 'total' } } as const };

describe.each([
  ['an SQL transform', {}],
  ['a TypeScript transform', registered],
  ['a column that an earlier phase adds', added],
])('preflight of a large table with %s', (_, given) => {
  it('lets a backfill by the primary key, or by any key that has an index in its order, run', async () => {
    expect(await check(given)).toEqual([]);
    expect(await check({ ...given, key: ['number', 'shop'] })).toEqual([]);
    expect(await check({ ...given, key: ['code'] })).toEqual([]);
  });

  it('refuses a key whose index has another order, and names the one that is missing', async () => {
    expect(await check({ ...given, key: ['shop', 'number'] })).toEqual([
      {
        path: 'key',
        problem: expect.stringMatching(
          /^no index of public\.orders has its rows in the order of \(shop, number\): each batch of 1000 rows would read and sort the whole table, \d+ MB with about 100000 rows$/,
        ),
        fix:
          'name the columns as the index has them: key: [number, shop]; or create one: ' +
          'CREATE UNIQUE INDEX CONCURRENTLY orders_shop_number_idx ON public.orders (shop, number)',
      },
    ]);
  });

  it('has nothing against it where the table is read in a few batches', async () => {
    expect(await check({ ...given, key: ['shop', 'number'], batchSize: 10_000 })).toEqual([]);
  });
});

describe('preflight of a large table', () => {
  it('passes the statement that it asks for', async () => {
    const [problem] = await check({ key: ['shop', 'number'] });
    const statement = /CREATE UNIQUE INDEX .*$/.exec(problem?.fix ?? '')?.[0] ?? '';
    await bench.sql(statement);
    expect(await check({ key: ['shop', 'number'] })).toEqual([]);
    await bench.sql('DROP INDEX orders_shop_number_idx');
  });

  it('refuses a condition that reads another large table for each batch, until an index serves it', async () => {
    const where = 'EXISTS (SELECT FROM refunds r WHERE r.order_id = orders.id)';
    const problem = {
      problem: expect.stringMatching(
        /^for each batch of 1000 rows all of public\.refunds would be read, \d+ MB with about 50000 rows$/,
      ),
      fix: 'create an index that finds its rows: CREATE INDEX CONCURRENTLY refunds_order_id_idx ON public.refunds (order_id)',
    };
    expect(await check({ where })).toEqual([{ path: 'where', ...problem }]);
    expect(await check({ pending: where })).toEqual([{ path: 'pending', ...problem }]);
    expect(await check({ ...registered, where })).toEqual([{ path: 'where', ...problem }]);
    await bench.sql('CREATE INDEX refunds_order_id_idx ON public.refunds (order_id); ANALYZE refunds');
    expect(await check({ where })).toEqual([]);
    await bench.sql('DROP INDEX refunds_order_id_idx');
  });

  it('refuses a condition that no index can serve, and says how to write it', async () => {
    expect(await check({ where: 'id NOT IN (SELECT order_id FROM refunds)' })).toEqual([
      {
        path: 'where',
        problem: expect.stringContaining('for each batch of 1000 rows all of public.refunds would be read'),
        fix: expect.stringContaining('as in EXISTS (SELECT … WHERE …)'),
      },
    ]);
    expect(await check(sets('(SELECT max(note) FROM refunds)'))).toMatchObject([
      { path: 'transform.set.amount' },
    ]);
  });

  it('refuses an expression that reads another table for each row', async () => {
    expect(await check(sets('(SELECT rate FROM "Rates" x WHERE x."Code" = orders.shop LIMIT 1)'))).toEqual([
      {
        path: 'transform.set.amount',
        problem: expect.stringContaining('for each row all of public."Rates" would be read'),
        fix: 'create an index that finds its rows: CREATE INDEX CONCURRENTLY "Rates_Code_idx" ON public."Rates" ("Code")',
      },
    ]);
  });

  it('lets small tables be scanned', async () => {
    expect(await check(sets('(SELECT name FROM colours c WHERE c.code = orders.shop % 50)'))).toEqual([]);
    expect(await check({ where: 'shop IN (SELECT code FROM colours)' })).toEqual([]);
  });

  it('asks for statistics where the planner has a range wrong by far, and scans the table for it', async () => {
    const dear = await openBench('-c random_page_cost=100000');
    try {
      await dear.sql('CREATE TABLE moved (id int PRIMARY KEY, total text, amount text)');
      await dear.sql('ALTER TABLE moved SET (autovacuum_enabled = off)');
      const insert = (step: number, length: number) =>
        dear.sql(`INSERT INTO moved SELECT generate_series(1, 600000, ${step}), repeat('x', ${length})`);
      // What the planner knows of: many rows on each page where now there are few.
      await insert(6, 100);
      await dear.sql('ANALYZE moved; DELETE FROM moved');
      await insert(100, 1900);
      const problems = () =>
        preflightBackfill(
          dear.target,
          phaseOf('moved', { transform: { kind: 'sql', set: { amount: 'total' } }, batchSize: 100 }),
          new TransformRegistry(),
        );
      expect(await problems()).toEqual([
        {
          path: 'table',
          problem: expect.stringMatching(
            /^each batch of 100 rows would read all of public\.moved, \d+ MB with about \d+ rows: the planner expects \d{4} rows between its keys$/,
          ),
          fix: 'bring its statistics up to date: ANALYZE public.moved',
        },
      ]);
      await dear.sql('ANALYZE moved');
      expect(await problems()).toEqual([]);
    } finally {
      await dear.close();
    }
  });

  it('sees through partitions', async () => {
    await bench.sql(`CREATE TABLE parts (region int NOT NULL, id int NOT NULL, total text, amount text,
                       PRIMARY KEY (region, id)) PARTITION BY LIST (region)`);
    await bench.sql('CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1)');
    await bench.sql('CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2)');
    await bench.sql(
      `INSERT INTO parts SELECT 1 + n % 2, n, repeat('x', 100) FROM generate_series(1, 100000) n`,
    );
    await bench.sql('ANALYZE parts');
    expect(await check({}, 'parts')).toEqual([]);
    expect(await check({ key: ['id', 'region'] }, 'parts')).toMatchObject([{ path: 'key' }]);
  });
});
