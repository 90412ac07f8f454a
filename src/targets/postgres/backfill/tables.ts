import type { OwnTable } from '../own-schema.ts';

const CHECKPOINT: OwnTable = {
  name: 'checkpoint',
  create: [
    `CREATE TABLE cutover.checkpoint (
       id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
       run_id text NOT NULL,
       phase text NOT NULL,
       -- Rises with each worker that takes over; one that still holds a lower number cannot commit.
       fence bigint NOT NULL,
       direction text NOT NULL DEFAULT 'forward' CHECK (direction IN ('forward', 'undo')),
       -- Fixed by the first slice, so that no later change of plan or table can shift what the run covers.
       pinned boolean NOT NULL DEFAULT false,
       key_columns text[] NOT NULL DEFAULT '{}',
       written_columns text[] NOT NULL DEFAULT '{}',
       upper_bound text[],
       estimated_rows bigint NOT NULL DEFAULT 0,
       -- Key of the last row that is dealt with; NULL before the first batch.
       cursor text[],
       processed bigint NOT NULL DEFAULT 0,
       migrated bigint NOT NULL DEFAULT 0,
       skipped bigint NOT NULL DEFAULT 0,
       ambiguous bigint NOT NULL DEFAULT 0,
       failed bigint NOT NULL DEFAULT 0,
       done boolean NOT NULL DEFAULT false,
       restored bigint NOT NULL DEFAULT 0,
       kept bigint NOT NULL DEFAULT 0,
       undone boolean NOT NULL DEFAULT false,
       updated_at timestamptz NOT NULL DEFAULT now(),
       PRIMARY KEY (run_id, phase)
     )`,
  ],
};

const EXCEPTION: OwnTable = {
  name: 'exception',
  create: [
    `CREATE TABLE cutover.exception (
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       run_id text NOT NULL,
       phase text NOT NULL,
       key jsonb NOT NULL,
       kind text NOT NULL CHECK (kind IN ('ambiguous', 'failed', 'kept')),
       reason text NOT NULL,
       suggestion jsonb,
       sqlstate text,
       message text,
       created_at timestamptz NOT NULL DEFAULT now(),
       UNIQUE (run_id, phase, key, kind)
     )`,
    `CREATE INDEX exception_in_order ON cutover.exception (run_id, phase, id)`,
  ],
};

const JOURNAL: OwnTable = {
  name: 'journal',
  create: [
    // No foreign key to the checkpoint: checking it would cost about as much as journalling the row.
    `CREATE TABLE cutover.journal (
       backfill bigint NOT NULL,
       run_id text NOT NULL,
       key text[] COLLATE "C" NOT NULL,
       -- Written columns as they were, in the order of checkpoint.written_columns; NULL where the plan undoes by SQL of its own.
       before text[],
       -- Digest of the written columns as the batch left them.
       after bytea,
       -- Undo left this row alone, because it changed since.
       kept boolean NOT NULL DEFAULT false,
       PRIMARY KEY (backfill, key)
     )`,
  ],
};

/** What a backfill keeps in the target, next to the data it describes, so that both change in one transaction. */
export const BACKFILL_TABLES: readonly OwnTable[] = [CHECKPOINT, EXCEPTION, JOURNAL];
