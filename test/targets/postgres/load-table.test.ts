import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadTable } from '../../../src/targets/postgres/backfill/load-table.ts';
import { type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await startFixture();
  await fixture.sql('CREATE TABLE t (id int PRIMARY KEY)');
});
afterEach(() => fixture.stop());

const mayRefuseWrites = async () => {
  const table = await fixture.target.transaction({}, (session) =>
    loadTable(session, { table: 't', columns: {} }),
  );
  return table.mayRefuseWrites;
};

async function addTrigger(schema: string, when: string) {
  await fixture.sql(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  await fixture.sql(
    `CREATE FUNCTION ${schema}.act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$`,
  );
  await fixture.sql(`CREATE TRIGGER acts ${when} ON t FOR EACH ROW EXECUTE FUNCTION ${schema}.act()`);
}

test('a table may leave rows unwritten where a trigger acts before, a policy decides or a rule rewrites', async () => {
  expect(await mayRefuseWrites()).toBe(false);
  await addTrigger('app', 'BEFORE UPDATE');
  expect(await mayRefuseWrites()).toBe(true);
  await fixture.sql('DROP TRIGGER acts ON t');
  await fixture.sql('ALTER TABLE t ENABLE ROW LEVEL SECURITY');
  expect(await mayRefuseWrites()).toBe(true);
  await fixture.sql('ALTER TABLE t DISABLE ROW LEVEL SECURITY');
  expect(await mayRefuseWrites()).toBe(false);
  await fixture.sql('CREATE RULE none AS ON DELETE TO t DO INSTEAD NOTHING');
  expect(await mayRefuseWrites()).toBe(true);
});

test('a trigger that acts afterwards, and one of a sync, leave no row unwritten', async () => {
  await addTrigger('app', 'AFTER UPDATE');
  expect(await mayRefuseWrites()).toBe(false);
  await fixture.sql('DROP TRIGGER acts ON t');
  await addTrigger('cutover', 'BEFORE INSERT OR UPDATE');
  expect(await mayRefuseWrites()).toBe(false);
});
