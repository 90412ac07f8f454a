import pg from 'pg';

const ALREADY_EXISTS = new Set(['42P04', '23505']);

/** Runs one statement on a connection of its own. */
export async function runStatement(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

/**
 * Creates a database on the server of `url` unless it is there.
 * @returns the URL of that database, with the same user and parameters.
 */
export async function ensureDatabase(url: string, name: string): Promise<string> {
  try {
    await runStatement(url, `CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || !ALREADY_EXISTS.has(error.code ?? '')) throw error;
  }
  return databaseUrl(url, name);
}

/** The URL of another database on the same server. */
export function databaseUrl(url: string, name: string): string {
  const result = new URL(url);
  result.pathname = `/${encodeURIComponent(name)}`;
  return result.href;
}
