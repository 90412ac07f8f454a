/** Rows of a backfill by what became of them; processed = migrated + skipped + ambiguous + failed. */
export type RowCounts = {
  processed: number;
  migrated: number;
  skipped: number;
  ambiguous: number;
  failed: number;
};

export const NO_ROWS: RowCounts = { processed: 0, migrated: 0, skipped: 0, ambiguous: 0, failed: 0 };

export function addCounts(a: RowCounts, b: RowCounts): RowCounts {
  return {
    processed: a.processed + b.processed,
    migrated: a.migrated + b.migrated,
    skipped: a.skipped + b.skipped,
    ambiguous: a.ambiguous + b.ambiguous,
    failed: a.failed + b.failed,
  };
}
