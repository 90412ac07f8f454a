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

/** An empty database on the run's PostgreSQL. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = inject('postgresUrl');
  const name = uniqueName();
  const url = await ensureDatabase(server, name);
  const drop = () =>
    runStatement(server, `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
  return { url, name, drop };
}
