import type { OwnTable } from '../own-schema.ts';

const VERIFICATION: OwnTable = {
  name: 'verification',
  create: [
    `CREATE TABLE cutover.verification (
       -- Of the same sequence as the backfills' ids, since its ranges are kept beside theirs.
       id bigint NOT NULL UNIQUE DEFAULT nextval('cutover.checkpoint_id_seq'),
       run_id text NOT NULL,
       phase text NOT NULL,
       -- Another attempt begins with the first row again.
       attempt text NOT NULL,
       estimated_rows bigint NOT NULL DEFAULT 0,
       -- What became of the rows that were found differing: the ranges count those as failed.
       passed bigint NOT NULL DEFAULT 0,
       skipped bigint NOT NULL DEFAULT 0,
       waiting bigint NOT NULL DEFAULT 0,
       repaired bigint NOT NULL DEFAULT 0,
       differing bigint NOT NULL DEFAULT 0,
       ambiguous bigint NOT NULL DEFAULT 0,
       failed bigint NOT NULL DEFAULT 0,
       newly_failed bigint NOT NULL DEFAULT 0,
       -- The same of copies without a row: the ranges count those as ambiguous.
       surplus bigint NOT NULL DEFAULT 0,
       surplus_gone bigint NOT NULL DEFAULT 0,
       PRIMARY KEY (run_id, phase)
     )`,
  ],
};

const SUSPECT: OwnTable = {
  name: 'suspect',
  create: [
    `CREATE TABLE cutover.suspect (
       verification bigint NOT NULL,
       run_id text NOT NULL,
       key text[] COLLATE "C" NOT NULL,
       -- A copy without a row, of the key that such a row would have.
       surplus boolean NOT NULL DEFAULT false,
       -- What the row was like when it was last found differing.
       state text NOT NULL,
       first_look_at timestamptz,
       -- Rises with each look; whoever knows a lower number comes too late.
       looks integer NOT NULL DEFAULT 0,
       look_at timestamptz NOT NULL,
       -- Differs for good; to be repaired.
       confirmed boolean NOT NULL DEFAULT false,
       PRIMARY KEY (verification, key, surplus)
     )`,
    'CREATE INDEX suspect_due ON cutover.suspect (verification, confirmed, look_at)',
  ],
};

/** What verifications keep in the target. */
export const VERIFY_TABLES: readonly OwnTable[] = [VERIFICATION, SUSPECT];
