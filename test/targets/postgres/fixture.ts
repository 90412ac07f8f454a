import pg from 'pg';
import {
  createPostgresTarget,
  type PostgresTargetOptions,
} from '../../../src/targets/postgres/connection.ts';
import { createTestDatabase } from '../../support/database.ts';

/** A database of its own, a target on it, and a way to look at it (or be in its way) from outside. */
export async function startFixture(options: Partial<PostgresTargetOptions> = {}) {
  const database = await createTestDatabase();
  const target = createPostgresTarget({ name: 'shop', url: database.url, poolSize: 3, ...options });
  const clients: pg.Client[] = [];

  async function connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: database.url, application_name: 'bystander' });
    // Tests end backends on purpose.
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    return client;
  }
  const outside = await connect();

  return {
    url: database.url,
    target,
    connect,
    /** Runs statements from outside of the target. */
    async sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]> {
      const result = await outside.query(text, values);
      return result.rows ?? [];
    },
    async stop(): Promise<void> {
      await target.close();
      await Promise.all(clients.map((client) => client.end()));
      await database.drop();
    },
  };
}

export type Fixture = Awaited<ReturnType<typeof startFixture>>;

/** Holds a lock on a table in an open transaction until released. */
export async function holdLock(fixture: Fixture, table: string, mode = 'ACCESS EXCLUSIVE') {
  const holder = await fixture.connect();
  await holder.query(`BEGIN; LOCK TABLE ${table} IN ${mode} MODE`);
  return { release: () => holder.query('COMMIT') };
}
