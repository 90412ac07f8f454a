import { readFile } from 'node:fs/promises';

/** As much of a database connection as loading needs; a client of `pg` is one. */
export type SqlClient = {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[]; rowCount: number | null }>;
};

/** Runs every statement of a SQL file as one implicit transaction. */
export async function runSqlFile(client: SqlClient, file: URL): Promise<void> {
  await client.query(await readFile(file, 'utf8'));
}

/** Creates what both systems use. */
export async function loadShared(client: SqlClient): Promise<void> {
  await runSqlFile(client, new URL('schema.sql', import.meta.url));
}
