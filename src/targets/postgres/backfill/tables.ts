import { LOAD } from '../load/shared-load.ts';
import type { OwnTable } from '../own-schema.ts';

const CHECKPOINT: OwnTable = {
  name: 'checkpoint',
  create: [
    `CREATE TABLE cutover.checkpoint (
       id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
       run_id text NOT NULL,
       phase text NOT NULL,
       direction text NOT NULL DEFAULT 'forward' CHECK (direction IN ('forward', 'undo')),
       -- Fixed by the first slice, so that no later change of plan or table can shift what the run covers.
       pinned boolean NOT NULL DEFAULT false,
       key_columns text[] NOT NULL DEFAULT '{}',
       written_columns text[] NOT NULL DEFAULT '{}',
       -- Columns of the table that the plan inserts into and does not write.
       other_columns text[] NOT NULL DEFAULT '{}',
       upper_bound text[],
       estimated_rows bigint NOT NULL DEFAULT 0,
       -- Rows that changed their outcome after their batch, by a decision on an exception; added to what the ranges say.
       settled_migrated bigint NOT NULL DEFAULT 0,
       settled_skipped bigint NOT NULL DEFAULT 0,
       settled_ambiguous bigint NOT NULL DEFAULT 0,
       settled_failed bigint NOT NULL DEFAULT 0,
       -- Rows that there were to restore when the undo began; NULL while the backfill goes forward.
       undo_rows bigint,
       -- The undo goes down the journal, and has been through it as far as this key.
       undo_cursor text[],
       restored bigint NOT NULL DEFAULT 0,
       kept bigint NOT NULL DEFAULT 0,
       undone boolean NOT NULL DEFAULT false,
       updated_at timestamptz NOT NULL DEFAULT now(),
       PRIMARY KEY (run_id, phase)
     )`,
  ],
};

const RANGE: OwnTable = {
  name: 'range',
  create: [
    // Updated with every batch: room on the page keeps those updates from growing the index.
    `CREATE TABLE cutover.range (
       backfill bigint NOT NULL,
       number integer NOT NULL,
       run_id text NOT NULL,
       -- Rows beyond this key, NULL for the first range, up to and including the other.
       after text[],
       up_to text[] NOT NULL,
       -- Key of the last row that is dealt with; NULL before the first batch.
       cursor text[],
       -- Rises with each lane that takes over; one that still holds a lower number cannot commit.
       fence bigint NOT NULL DEFAULT 0,
       -- The lane that works on it, and since when that lane has been at work; NULL when it is free.
       lane text,
       lane_since bigint,
       -- Free for anyone from then on.
       claimed_until timestamptz,
       processed bigint NOT NULL DEFAULT 0,
       migrated bigint NOT NULL DEFAULT 0,
       skipped bigint NOT NULL DEFAULT 0,
       ambiguous bigint NOT NULL DEFAULT 0,
       failed bigint NOT NULL DEFAULT 0,
       done boolean NOT NULL DEFAULT false,
       updated_at timestamptz NOT NULL DEFAULT now(),
       PRIMARY KEY (backfill, number)
     ) WITH (fillfactor = 40)`,
  ],
};

/** A row has one open question about its outcome, whether it is ambiguous or failed, and one of each other kind. */
export const QUESTION = `(CASE WHEN kind IN ('ambiguous', 'failed') THEN 'outcome' ELSE kind END)`;

const EXCEPTION: OwnTable = {
  name: 'exception',
  create: [
    `CREATE TABLE cutover.exception (
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       run_id text NOT NULL,
       phase text NOT NULL,
       key jsonb NOT NULL,
       -- Sorts as the keys do.
       sort_key text COLLATE "C" NOT NULL,
       kind text NOT NULL CHECK (kind IN ('ambiguous', 'failed', 'kept', 'differs')),
       reason text NOT NULL,
       suggestion jsonb,
       -- What accepting the suggestion writes, as text by column; unlike the suggestion with the values of redacted columns.
       proposal jsonb,
       sqlstate text,
       message text,
       -- Does to this row alone what the batch did to it.
       statement text,
       parameters jsonb,
       -- Digest of the columns that a decision depends on, as they were then.
       seen bytea,
       -- The row is among those that the backfill's ranges have counted.
       counted boolean NOT NULL DEFAULT false,
       status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved', 'replayed', 'skipped')),
       -- Why it was decided so, or could not be.
       note text,
       value jsonb,
       decided_by text,
       decided_at timestamptz,
       -- The request that has dealt with it last, so that it does so once.
       request text,
       -- Tells the versions of a record apart, and in which transactions to look for new ones.
       revision integer NOT NULL DEFAULT 1,
       changed_in xid8 NOT NULL DEFAULT pg_current_xact_id(),
       created_at timestamptz NOT NULL DEFAULT now()
     )`,
    `CREATE UNIQUE INDEX exception_once ON cutover.exception (run_id, phase, key, ${QUESTION})`,
    `CREATE INDEX exception_in_order ON cutover.exception (run_id, phase, id)`,
    `CREATE INDEX exception_changed ON cutover.exception (run_id, phase, changed_in, id)`,
  ],
};

/**
 * What all backfills keep in the target, next to the data it describes, so that both change in one transaction. Old values are
 * in a journal for each.
 */
export const BACKFILL_TABLES: readonly OwnTable[] = [CHECKPOINT, RANGE, EXCEPTION, LOAD];
