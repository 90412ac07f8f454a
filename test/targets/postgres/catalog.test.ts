import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeTable, quoteIdentifier, quoteLiteral } from '../../../src/targets/postgres/catalog.ts';
import { type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await startFixture();
});
afterAll(() => fixture.stop());

const describeIt = (name: string) => fixture.target.session({}, (session) => describeTable(session, name));

test('columns come in order with their types as the database spells them', async () => {
  await fixture.sql(`CREATE TABLE price (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone int, amount numeric(10,2) NOT NULL, tags text[],
    twice numeric GENERATED ALWAYS AS (amount * 2) STORED)`);
  await fixture.sql('ALTER TABLE price DROP COLUMN gone');
  expect(await describeIt('price')).toEqual({
    qualifiedName: 'public.price',
    columns: [
      { name: 'id', type: 'bigint', nullable: false, generated: true },
      { name: 'amount', type: 'numeric(10,2)', nullable: false, generated: false },
      { name: 'tags', type: 'text[]', nullable: true, generated: false },
      { name: 'twice', type: 'numeric', nullable: true, generated: true },
    ],
    key: ['id'],
    estimatedRows: null,
  });
});

test('a name may have a schema and quotes, and is else found through the search_path', async () => {
  await fixture.sql('CREATE SCHEMA "Old Shop"; CREATE TABLE "Old Shop"."Order" (id int PRIMARY KEY)');
  expect((await describeIt('"Old Shop"."Order"'))?.qualifiedName).toBe('"Old Shop"."Order"');
  expect(await describeIt('"Order"')).toBeUndefined();
  const found = await fixture.target.session({}, async (session) => {
    await session.query('SET search_path = "Old Shop"');
    return await describeTable(session, '"Order"');
  });
  expect(found?.qualifiedName).toBe('"Old Shop"."Order"');
  expect(await describeIt('no_such_table')).toBeUndefined();
});

test('the key is the primary key in its order', async () => {
  await fixture.sql(
    'CREATE TABLE member (team int, person int, UNIQUE (person, team), PRIMARY KEY (person, team))',
  );
  expect((await describeIt('member'))?.key).toEqual(['person', 'team']);
});

test('without a primary key it is the first unique index that names every row', async () => {
  await fixture.sql(`
    CREATE TABLE visit (a int NOT NULL, b int NOT NULL, c int, d int NOT NULL);
    CREATE UNIQUE INDEX visit_nullable ON visit (c);
    CREATE UNIQUE INDEX visit_partial ON visit (a) WHERE b > 0;
    CREATE UNIQUE INDEX visit_expression ON visit ((a + 1));
    CREATE INDEX visit_plain ON visit (a);
    ALTER TABLE visit ADD CONSTRAINT visit_late UNIQUE (a) DEFERRABLE;
    CREATE UNIQUE INDEX visit_good ON visit (d, b) INCLUDE (c);
    CREATE UNIQUE INDEX visit_later ON visit (b)`);
  expect((await describeIt('visit'))?.key).toEqual(['d', 'b']);
});

test('an invalid unique index is no key', async () => {
  await fixture.sql('CREATE TABLE twin (a int NOT NULL); INSERT INTO twin VALUES (1), (1)');
  await expect(fixture.sql('CREATE UNIQUE INDEX CONCURRENTLY twin_a ON twin (a)')).rejects.toThrow();
  expect((await describeIt('twin'))?.key).toEqual([]);
});

test('the number of rows is the planner’s, also for the partitions together', async () => {
  await fixture.sql(`
    CREATE TABLE log (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (100);
    CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM (100) TO (200);
    INSERT INTO log SELECT generate_series(0, 149)`);
  expect((await describeIt('log'))?.estimatedRows).toBeNull();
  await fixture.sql('ANALYZE log');
  expect(await describeIt('log')).toMatchObject({ estimatedRows: 150, key: ['id'] });
  expect((await describeIt('log_2'))?.estimatedRows).toBe(50);
});

test('an analysed empty table has no rows', async () => {
  await fixture.sql('CREATE TABLE hollow (id int)');
  await fixture.sql('VACUUM ANALYZE hollow');
  expect(await describeIt('hollow')).toMatchObject({ estimatedRows: 0, key: [] });
});

test('quoted names and texts come back from the server as they were', async () => {
  const odd = `a"b'c\\d; --`;
  expect(await fixture.sql(`SELECT ${quoteLiteral(odd)} AS ${quoteIdentifier(odd)}`)).toEqual([
    { [odd]: odd },
  ]);
});
