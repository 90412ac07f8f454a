import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  createRunTable,
  ensureOwnSchema,
  forgetRun,
  type OwnTable,
} from '../../../src/targets/postgres/own-schema.ts';
import { type Fixture, startFixture } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await startFixture();
});
afterEach(() => fixture.stop());

const BATCH: OwnTable = {
  name: 'batch',
  create: [
    'CREATE TABLE cutover.batch (id int PRIMARY KEY, run_id text NOT NULL)',
    'CREATE INDEX batch_run ON cutover.batch (run_id)',
  ],
};
const PART: OwnTable = {
  name: 'part',
  create: ['CREATE TABLE cutover.part (batch int REFERENCES cutover.batch ON DELETE CASCADE)'],
};

const ensure = (tables?: OwnTable[]) =>
  fixture.target.transaction({}, (session) => ensureOwnSchema(session, tables));
const forget = (runId: string) => fixture.target.transaction({}, (session) => forgetRun(session, runId));

async function tables() {
  const rows = await fixture.sql(
    `SELECT relname::text AS name FROM pg_class WHERE relnamespace = to_regnamespace('cutover') AND relkind = 'r' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

const schemaExists = async () =>
  (await fixture.sql(`SELECT 1 FROM pg_namespace WHERE nspname = 'cutover'`)).length === 1;

test('many sessions at once make the schema once', async () => {
  await Promise.all(Array.from({ length: 6 }, () => ensure([BATCH])));
  expect(await tables()).toEqual(['applied_statement', 'batch']);
});

test('tables that are asked for later are added', async () => {
  await ensure();
  await ensure([BATCH, PART]);
  expect(await tables()).toEqual(['applied_statement', 'batch', 'part']);
});

test('a schema of that name which is not ours is neither used nor dropped', async () => {
  await fixture.sql('CREATE SCHEMA cutover');
  await expect(ensure()).rejects.toThrow(/that Cutover did not make/);
  await forget('run-1');
  expect(await schemaExists()).toBe(true);
});

test('a table of one run alone goes with that run', async () => {
  await ensure([BATCH]);
  await fixture.target.transaction({}, async (session) => {
    for (const run of ['run-1', 'run-11']) {
      await createRunTable(session, run, `cutover."of_${run}"`, ['value int']);
      await session.query(`INSERT INTO cutover.batch VALUES (${run.length}, '${run}')`);
    }
  });
  await forget('run-1');
  expect(await tables()).toEqual(['applied_statement', 'batch', 'of_run-11']);
  await forget('run-11');
  expect(await schemaExists()).toBe(false);
});

const EARLIER = `COMMENT ON SCHEMA cutover IS 'Cutover: state of migration runs. Dropped when no run needs it any more.'`;

test('a schema that another release made is made anew when no run needs it, and else refused', async () => {
  await ensure([BATCH]);
  await fixture.sql(EARLIER);
  await fixture.sql('ALTER TABLE cutover.batch DROP COLUMN id');
  await ensure([BATCH, PART]);
  expect(await tables()).toEqual(['applied_statement', 'batch', 'part']);
  await fixture.sql(`INSERT INTO cutover.batch VALUES (1, 'run-1')`);
  await fixture.sql('DROP TABLE cutover.part');
  await fixture.sql(EARLIER);
  await expect(ensure([BATCH, PART])).rejects.toThrow(/finish them or roll them back with the release/);
  expect(await fixture.sql('SELECT id FROM cutover.batch')).toEqual([{ id: 1 }]);
});

test('forgetting a run keeps what other runs need, and takes the schema with the last', async () => {
  await ensure([BATCH, PART]);
  await fixture.sql(`INSERT INTO cutover.batch VALUES (1, 'run-1'), (2, 'run-2')`);
  await fixture.sql('INSERT INTO cutover.part VALUES (1), (2)');
  await forget('run-1');
  expect(await fixture.sql('SELECT id, batch FROM cutover.batch JOIN cutover.part ON id = batch')).toEqual([
    { id: 2, batch: 2 },
  ]);
  await forget('run-2');
  expect(await schemaExists()).toBe(false);
  await forget('run-2');
});

test('the empty schema stays when something outside depends on it', async () => {
  await ensure([BATCH]);
  await fixture.sql('CREATE VIEW batches AS SELECT * FROM cutover.batch');
  await forget('run-1');
  expect(await fixture.sql('SELECT * FROM batches')).toEqual([]);
});

test('the schema cannot go while a transaction is about to write to it', async () => {
  await ensure([BATCH]);
  await fixture.target.transaction({}, async (session) => {
    await ensureOwnSchema(session, [BATCH]);
    const forgetting = fixture.target.transaction({ lockTimeoutMs: 50 }, (other) =>
      forgetRun(other, 'run-1'),
    );
    await expect(forgetting).rejects.toMatchObject({ code: '55P03' });
    await session.query(`INSERT INTO cutover.batch VALUES (1, 'run-2')`);
  });
  expect(await fixture.sql('SELECT id FROM cutover.batch')).toEqual([{ id: 1 }]);
});
