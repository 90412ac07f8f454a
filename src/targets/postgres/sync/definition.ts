import type { Writer } from '../backfill/pin-session.ts';
import type { BackfillColumn, BackfillTable } from '../backfill/table.ts';

/** What the triggers of a sync do, for which rows of which table. */
export type SyncDefinition = {
  /** The sync's number in `cutover.sync`. */
  id: string;
  runId: string;
  phase: string;
  /** The backfill whose own writes the triggers leave alone. */
  writer: Writer;
  table: BackfillTable;
  work: SyncWork;
};

export type SyncWork =
  | {
      /** Writes the expressions to the row itself, before it is written. */
      kind: 'set';
      where: string | undefined;
      set: Record<string, string>;
      /** Conditions on the row under which a constraint of the table would refuse it. */
      violations: readonly string[];
    }
  | ({
      /** Writes the row's copy in another table. */
      kind: 'copy';
      where: string | undefined;
    } & CopyWork)
  | {
      /** Notes the row's key. */
      kind: 'capture';
      /** Columns whose change matters. */
      changes: readonly BackfillColumn[];
      /** Whether keys of deleted rows are noted as well. */
      deletes: boolean;
    };

export type CopyWork = {
  /** The other table, quoted and with its schema. */
  into: string;
  /** SQL expressions over the row, by the column of the other table that they are written to. */
  values: Record<string, string>;
  identifiedBy: readonly string[];
  onConflict: 'nothing' | 'update';
  /** A copy goes when its row goes: each row has a copy of its own, and its key alone tells which. */
  mirrors: boolean;
};
