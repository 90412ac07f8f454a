import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadShared } from '../../examples/shared/sql-client.ts';
import { createTestDatabase } from '../support/database.ts';
import { uniqueName } from '../support/unique-name.ts';

/** Logins as a server has them: the application and its administration are members, the owner is neither. */
const logins = { user: uniqueName('user'), admin: uniqueName('admin'), owner: uniqueName('owner') };

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let superuser: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  superuser = await connect(database.url);
  await superuser.query(`CREATE ROLE "${logins.owner}" LOGIN PASSWORD 'owner' CREATEROLE`);
  await superuser.query(`ALTER DATABASE "${database.name}" OWNER TO "${logins.owner}"`);
  await as('owner', loadShared);
  await superuser.query(`CREATE ROLE "${logins.user}" LOGIN PASSWORD 'user' IN ROLE app_user`);
  await superuser.query(`CREATE ROLE "${logins.admin}" LOGIN PASSWORD 'admin' IN ROLE app_admin`);
  await superuser.query("UPDATE feature_flags SET enabled = true WHERE name = 'testimonial_system'");
});

afterAll(async () => {
  // The tables, and the privileges on them, go with the database; then nothing depends on the roles any more.
  await superuser.end();
  await database.drop();
  const server = await connect(new URL('/postgres', database.url).href);
  await server.query(
    `DROP ROLE ${Object.values(logins)
      .map((name) => `"${name}"`)
      .join(', ')}`,
  );
  await server.end();
});

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

/** Does the work over a connection of that login's own. */
async function as<T>(login: keyof typeof logins, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const url = new URL(database.url);
  url.username = logins[login];
  url.password = login;
  const client = await connect(url.href);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function names(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>('SELECT name FROM feature_flags ORDER BY name');
  return rows.map(({ name }) => name);
}

const ALL = [
  'multi_integration_campaigns',
  'playlist_orchestration',
  'testimonial_system',
  'v2_canonical_system',
];

test('the flags begin disabled at 0 %, but for the one that this test has enabled', async () => {
  const { rows } = await superuser.query(
    'SELECT name, enabled, rollout_percentage, metadata FROM feature_flags ORDER BY name',
  );
  expect(rows).toEqual(
    ALL.map((name) => ({
      name,
      enabled: name === 'testimonial_system',
      rollout_percentage: 0,
      metadata: {},
    })),
  );
});

test.each([-1, 101])('%d is no percentage', async (percentage) => {
  const update = superuser.query('UPDATE feature_flags SET rollout_percentage = $1', [percentage]);
  await expect(update).rejects.toThrow('violates check constraint');
});

describe('app_user', () => {
  test('sees enabled flags only', async () => {
    expect(await as('user', names)).toEqual(['testimonial_system']);
  });

  test('sees a flag as soon as it is enabled, and no longer than that', async () => {
    const enable = (enabled: boolean) =>
      superuser.query("UPDATE feature_flags SET enabled = $1 WHERE name = 'playlist_orchestration'", [
        enabled,
      ]);
    await as('user', async (client) => {
      await enable(true);
      expect(await names(client)).toContain('playlist_orchestration');
      await enable(false);
      expect(await names(client)).not.toContain('playlist_orchestration');
    });
  });

  test.each([
    "UPDATE feature_flags SET enabled = false WHERE name = 'testimonial_system'",
    "INSERT INTO feature_flags (name) VALUES ('mine')",
    'DELETE FROM feature_flags',
    'ALTER TABLE feature_flags DISABLE ROW LEVEL SECURITY',
  ])('may not: %s', async (statement) => {
    await expect(as('user', (client) => client.query(statement))).rejects.toMatchObject({ code: '42501' });
  });
});

describe('app_admin', () => {
  test('sees all flags, and manages those that are disabled too', async () => {
    await as('admin', async (client) => {
      expect(await names(client)).toEqual(ALL);
      await client.query("INSERT INTO feature_flags (name) VALUES ('trial')");
      const changed = await client.query(
        "UPDATE feature_flags SET rollout_percentage = 5 WHERE name = 'trial'",
      );
      const removed = await client.query("DELETE FROM feature_flags WHERE name = 'trial'");
      expect([changed.rowCount, removed.rowCount]).toEqual([1, 1]);
    });
  });
});

describe('a role without membership in either', () => {
  test('sees nothing that was not granted, and enabled flags only once it is', async () => {
    const role = uniqueName('stranger');
    const client = await connect(database.url);
    try {
      await client.query('BEGIN');
      await client.query(`CREATE ROLE "${role}"`);
      await client.query(`GRANT SELECT, UPDATE ON feature_flags TO "${role}"`);
      await client.query(`SET LOCAL ROLE "${role}"`);
      expect(await names(client)).toEqual(['testimonial_system']);
      // Granted the statement, but no policy: there is no row that it may change.
      expect((await client.query('UPDATE feature_flags SET enabled = true')).rowCount).toBe(0);
      await client.query('ROLLBACK');
    } finally {
      await client.end();
    }
  });
});

describe('the owner, as whom migrations connect', () => {
  test('sees and changes disabled flags without being a superuser', async () => {
    await as('owner', async (client) => {
      expect(await names(client)).toEqual(ALL);
      await client.query('BEGIN');
      const changed = await client.query(
        "UPDATE feature_flags SET enabled = true, rollout_percentage = 10 WHERE name = 'v2_canonical_system'",
      );
      await client.query('ROLLBACK');
      expect(changed.rowCount).toBe(1);
    });
  });

  test('loads what is there already without changing it', async () => {
    const content = async () => (await superuser.query('SELECT * FROM feature_flags ORDER BY id')).rows;
    const before = await content();
    await as('owner', loadShared);
    expect(await content()).toEqual(before);
  });
});
