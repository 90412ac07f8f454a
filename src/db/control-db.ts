import { fileURLToPath } from 'node:url';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import * as schema from './schema.ts';

/** The control database: plans, runs, events, audit. Never shares a pool with a target. */
export type ControlDb = {
  query: NodePgDatabase<typeof schema>;
  pool: pg.Pool;
  close(): Promise<void>;
};

/** Any number of processes may migrate at once; the lock's number is arbitrary, but must never change. */
const MIGRATION_LOCK = 7_203_114_901;

/**
 * Opens the pool without connecting yet.
 * @param onIdleError hears of connections that broke while nobody used them; the pool replaces them by itself.
 */
export function openControlDb(url: string, onIdleError: (error: Error) => void = () => {}): ControlDb {
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    application_name: 'cutover-control',
  });
  pool.on('error', onIdleError);
  // The pool listens only while a connection is idle. One that breaks between two statements of a transaction would end
  // the process, although the next statement rejects anyway.
  pool.on('connect', (client) => client.on('error', () => {}));
  return { query: drizzle(pool, { schema }), pool, close: () => pool.end() };
}

/** Brings the control database to this release's schema. */
export async function migrateControlDb(db: ControlDb): Promise<void> {
  const client = await db.pool.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await migrate(drizzle(client), {
      migrationsFolder: fileURLToPath(new URL('./migrations', import.meta.url)),
      migrationsSchema: 'cutover_migrations',
    });
    await client.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]);
    client.release();
  } catch (error) {
    // Closing the connection gives the lock back whatever state it is in.
    client.release(true);
    throw error;
  }
}

/** Is the error that of a unique constraint, and of which? */
export function violatedConstraint(error: unknown): string | undefined {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof pg.DatabaseError && cause.code === '23505') return cause.constraint;
  }
  return undefined;
}
