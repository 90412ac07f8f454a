import type { OwnTable } from '../own-schema.ts';

const SYNC: OwnTable = {
  name: 'sync',
  create: [
    `CREATE TABLE cutover.sync (
       id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
       run_id text NOT NULL,
       phase text NOT NULL,
       -- The table with its schema, and the triggers on it; none where the application writes both shapes itself.
       table_name text,
       triggers text[] NOT NULL DEFAULT '{}',
       -- xmin of the triggers' rows in the catalog, in the same order: another one shows that somebody has touched them.
       trigger_versions text[] NOT NULL DEFAULT '{}',
       installed boolean NOT NULL DEFAULT false,
       -- Stays until the run is forgotten, so that nobody who is late installs it again.
       removed boolean NOT NULL DEFAULT false,
       -- All transactions before this one were seen by the triggers.
       seen_until bigint,
       -- Rows written by transactions from this one on are looked for, up to this key so far; NULL when none are.
       rescan_from bigint,
       rescan_after text[],
       PRIMARY KEY (run_id, phase)
     )`,
  ],
};

const CAPTURED: OwnTable = {
  name: 'captured',
  create: [
    // Without any constraint but its own number: whoever notes a key never waits for whoever works on that key.
    `CREATE TABLE cutover.captured (
       sync bigint NOT NULL,
       id bigint GENERATED ALWAYS AS IDENTITY,
       run_id text NOT NULL,
       key text[] NOT NULL,
       captured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
       PRIMARY KEY (sync, id)
     ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)`,
  ],
};

/** What the syncs of runs keep in the target. */
export const SYNC_TABLES: readonly OwnTable[] = [SYNC, CAPTURED];
