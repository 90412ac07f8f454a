import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTableFlagStore } from '../../src/flags/table-flag-store.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import { type Fixture, startFixture } from '../targets/postgres/fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await startFixture();
  await createFlags('feature_flags', 'integer');
});
afterEach(() => fixture.stop());

async function createFlags(table: string, percentageType: string) {
  await fixture.sql(`CREATE TABLE ${table} (
    name text PRIMARY KEY, enabled boolean NOT NULL DEFAULT false, rollout_percentage ${percentageType} DEFAULT 0)`);
  await fixture.sql(`INSERT INTO ${table} (name) VALUES ('campaigns-v2'), ('canonical-events')`);
}

const store = (table = 'feature_flags') => createTableFlagStore(fixture.target, table);

test('reads and writes a flag, and leaves the others alone', async () => {
  expect(await store().read('campaigns-v2')).toEqual({ enabled: false, percentage: 0 });
  expect(await store().write('campaigns-v2', { enabled: true, percentage: 10 })).toEqual({
    enabled: true,
    percentage: 10,
  });
  expect(await store().read('campaigns-v2')).toEqual({ enabled: true, percentage: 10 });
  expect(await store().read('canonical-events')).toEqual({ enabled: false, percentage: 0 });
});

test('a flag that does not exist reads as undefined, and writing it names those that exist', async () => {
  expect(await store().read('campaigns')).toBeUndefined();
  await expect(store().write('campaigns', { enabled: true, percentage: 1 })).rejects.toThrow(
    'there is no flag "campaigns" in public.feature_flags; it has campaigns-v2, canonical-events. Add the row',
  );
});

test('numeric columns hold fractions, also in a quoted table of another schema', async () => {
  await fixture.sql('CREATE SCHEMA app');
  await createFlags('app."Flags"', 'numeric(6,3)');
  const flags = store('app."Flags"');
  expect(await flags.write('campaigns-v2', { enabled: true, percentage: 0.001 })).toEqual({
    enabled: true,
    percentage: 0.001,
  });
});

test.each([
  ['integer', 0.5],
  ['numeric(5,2)', 0.001],
])('%s cannot hold %d, and the flag stays as it was', async (type, percentage) => {
  await createFlags('other_flags', type);
  await expect(store('other_flags').write('campaigns-v2', { enabled: true, percentage })).rejects.toThrow(
    `column rollout_percentage of public.other_flags is ${type} and would hold`,
  );
  expect(await store('other_flags').read('campaigns-v2')).toEqual({ enabled: false, percentage: 0 });
});

test('updated_at is set by a write that changes something, and only by that', async () => {
  await fixture.sql(
    `ALTER TABLE feature_flags ADD COLUMN updated_at timestamptz NOT NULL DEFAULT '2020-01-01Z'`,
  );
  const updatedAt = async () =>
    (await fixture.sql(`SELECT updated_at::text AS at FROM feature_flags WHERE name = 'campaigns-v2'`))[0]
      ?.at;
  const before = await updatedAt();
  await store().write('campaigns-v2', { enabled: false, percentage: 0 });
  expect(await updatedAt()).toBe(before);
  await store().write('campaigns-v2', { enabled: true, percentage: 50 });
  expect(await updatedAt()).not.toBe(before);
});

test.each([-1, 101, Number.NaN])('%d is no percentage', async (percentage) => {
  await expect(store().write('campaigns-v2', { enabled: true, percentage })).rejects.toThrow(RangeError);
});

test('a missing table, and a table that cannot hold flags, are told', async () => {
  await expect(store('flags').read('x')).rejects.toThrow('there is no table flags to hold flags');
  await fixture.sql('CREATE TABLE switches (name text, active boolean)');
  await expect(store('switches').read('x')).rejects.toThrow(
    'the table public.switches cannot hold flags: it has no column enabled, rollout_percentage',
  );
});

test('two flags of the same name are refused rather than one of them chosen', async () => {
  await fixture.sql(`ALTER TABLE feature_flags DROP CONSTRAINT feature_flags_pkey`);
  await fixture.sql(`INSERT INTO feature_flags (name) VALUES ('campaigns-v2')`);
  await expect(store().read('campaigns-v2')).rejects.toThrow(/2 flags named "campaigns-v2"/);
});

test('a role that row-level security lets see but not change a flag learns why', async () => {
  const role = `flag_reader_${process.pid}`;
  await fixture.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
  await fixture.sql(`GRANT SELECT, UPDATE ON feature_flags TO ${role}`);
  await fixture.sql('ALTER TABLE feature_flags ENABLE ROW LEVEL SECURITY');
  await fixture.sql('CREATE POLICY see ON feature_flags FOR SELECT USING (true)');
  const url = new URL(fixture.url);
  url.username = role;
  url.password = 'secret';
  const target = createPostgresTarget({ name: 'reader', url: url.href, poolSize: 1 });
  const write = createTableFlagStore(target, 'feature_flags').write('campaigns-v2', {
    enabled: true,
    percentage: 1,
  });
  await expect(write).rejects.toThrow(/can be seen but not changed; a row-level security policy/);
  await target.close();
  await fixture.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
});
