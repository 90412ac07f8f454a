import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ControlDb, migrateControlDb, openControlDb } from '../../src/db/control-db.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
const opened: ControlDb[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  for (const db of opened) await db.close();
  await database.drop();
});

function open(): ControlDb {
  const db = openControlDb(database.url);
  opened.push(db);
  return db;
}

test('several processes that start at once migrate an empty database once', async () => {
  const processes = [open(), open(), open(), open()];
  await Promise.all(processes.map((db) => migrateControlDb(db)));
  const { rows } = await open().pool.query(
    'SELECT count(*)::int AS applied, count(DISTINCT hash)::int AS distinct FROM cutover_migrations.__drizzle_migrations',
  );
  expect(rows[0].applied).toBeGreaterThan(0);
  expect(rows[0].applied).toBe(rows[0].distinct);
});

test('migrating again changes nothing', async () => {
  const db = open();
  const schema = () =>
    db.pool.query(
      "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'cutover_control' ORDER BY 1, 2",
    );
  const before = (await schema()).rows;
  await migrateControlDb(db);
  expect((await schema()).rows).toEqual(before);
  expect(before.length).toBeGreaterThan(50);
});

test('exceptions that release 0.1.0 left are numbered in the order in which it listed them', async () => {
  const old = await createTestDatabase();
  const db = openControlDb(old.url);
  const read = (file: string) =>
    readFile(new URL(`../../src/db/migrations/${file}`, import.meta.url), 'utf8');
  try {
    await db.pool.query(await read('0000_control_database.sql'));
    await db.pool.query(
      `INSERT INTO cutover_control.run_exceptions (run_id, phase, key, kind, reason)
       SELECT run, 'fill', format('["%s"]', n), 'failed', 'why'
         FROM generate_series(1, 12) AS n, unnest(ARRAY['a', 'b']) AS run`,
    );
    await db.pool.query(await read('0001_exception_decisions.sql'));
    const { rows } = await db.pool.query(
      `SELECT exception_id::int AS id, key, status FROM cutover_control.run_exceptions WHERE run_id = 'b' ORDER BY 1`,
    );
    expect(rows).toHaveLength(12);
    expect(rows.slice(0, 3)).toEqual([
      { id: 1, key: '["1"]', status: 'open' },
      { id: 2, key: '["10"]', status: 'open' },
      { id: 3, key: '["11"]', status: 'open' },
    ]);
  } finally {
    await db.close();
    await old.drop();
  }
});

test('a migration that fails gives its lock back', async () => {
  const broken = await createTestDatabase();
  const first = openControlDb(broken.url);
  const second = openControlDb(broken.url);
  try {
    // A table in the way makes the first migration fail half-way.
    await first.pool.query('CREATE SCHEMA cutover_control; CREATE TABLE cutover_control.plans (name int)');
    await expect(migrateControlDb(first)).rejects.toThrow();
    await second.pool.query('DROP SCHEMA cutover_control CASCADE');
    await migrateControlDb(second);
    const { rows } = await second.pool.query('SELECT count(*)::int AS n FROM cutover_control.plans');
    expect(rows[0].n).toBe(0);
  } finally {
    await first.close();
    await second.close();
    await broken.drop();
  }
});
