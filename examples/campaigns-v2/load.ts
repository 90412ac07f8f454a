import { loadShared, runSqlFile, type SqlClient } from '../shared/sql-client.ts';

export type CampaignsState = {
  /** `legacy`: no campaign is migrated. `partly-migrated`: the column exists and one of the three is. */
  state?: 'legacy' | 'partly-migrated';
  /** Also load the campaigns that no rule can migrate. */
  ambiguous?: boolean;
};

/** Creates the campaigns system in the database of the connection, as its owner. */
export async function load(client: SqlClient, options: CampaignsState = {}): Promise<void> {
  const { state = 'legacy', ambiguous = true } = options;
  await loadShared(client);
  await runSqlFile(client, new URL('schema.sql', import.meta.url));
  await runSqlFile(client, new URL('legacy.sql', import.meta.url));
  if (ambiguous) await runSqlFile(client, new URL('ambiguous.sql', import.meta.url));
  if (state === 'partly-migrated') await runSqlFile(client, new URL('partly-migrated.sql', import.meta.url));
}
