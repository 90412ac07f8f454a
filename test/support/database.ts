import pg from 'pg';
import { inject } from 'vitest';
import { ensureDatabase, runStatement } from '../../src/dev/database.ts';
import { uniqueName } from './unique-name.ts';

export type TestDatabase = {
  url: string;
  name: string;
  /** Ends whatever is still connected to it. */
  drop(): Promise<void>;
};

/** An empty database on the run's PostgreSQL, or on another server by its superuser's URL. */
export async function createTestDatabase(server = inject('postgresUrl')): Promise<TestDatabase> {
  const name = uniqueName();
  const url = await ensureDatabase(server, name);
  const drop = () =>
    runStatement(server, `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
  return { url, name, drop };
}
