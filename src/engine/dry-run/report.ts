import { addCounts, NO_ROWS, type RowCounts } from '../../domain/counts.ts';
import type { NumberRange } from '../../domain/number-range.ts';
import { shareInterval } from '../../domain/share-interval.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import type { Row } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import type { Lossy, NullValues, Violation } from './findings.ts';
import type { PreviewedRow, ShownException } from './preview.ts';

export type DryRunReport = {
  counts: RowCounts;
  /** Set when only a sample was looked at, which `counts` and everything else is about. */
  sample?: Sampled | undefined;
  /** The first migrated rows: what the transform saw or will overwrite, and what it would write. */
  samples: { key: Key; before: Row | null; after: Row }[];
  /** Of the migrated rows, where they are copied into another table; rows whose copies are left alone count as skipped. */
  copies?: { into: string; inserted: number; updated: number } | undefined;
  /** What could not be looked at, in words. */
  notes: string[];
  /** The first rows of their kind; `counts` has the totals. */
  ambiguous: ShownException[];
  failed: ShownException[];
  /** Values that would be rounded or cut without anybody complaining. */
  lossy: Lossy[];
  /** Which constraints make rows fail. */
  violations: Violation[];
  nulls: NullValues[];
  /** Rows that meet the plan's condition and are now looked at, from the table's first one on; the next call's `offset`. 0 after a sample. */
  nextOffset: number;
  hasMore: boolean;
  durationMs: number;
  rowsPerSecond: number;
};

/** What a sample says of the whole table. */
export type Sampled = {
  /** Rows that were drawn, whether or not they meet the plan's condition. */
  drawn: number;
  /** Rows of the table, as the planner estimates. */
  of: number;
  /** Rows of the whole table by what would become of them, with 95 % confidence if rows of one page were independent. */
  expected: { [Outcome in keyof RowCounts]: NumberRange };
};

export type Found = Pick<
  DryRunReport,
  'counts' | 'samples' | 'copies' | 'notes' | 'ambiguous' | 'failed' | 'hasMore'
>;

const SAMPLES = 5;
const LISTED_ROWS = 100;

export function emptyReport({ insertion }: BatchContext): Found {
  const found = { counts: NO_ROWS, samples: [], ambiguous: [], failed: [], notes: [], hasMore: false };
  if (!insertion) return found;
  const { into } = insertion;
  const notes = [...into.columns.values()].every(({ missing }) => missing)
    ? [
        `The table ${into.qualifiedName} is not there yet: that its columns, their types and its unique index are as the ` +
          'transform needs them is found out when the phase begins',
      ]
    : [];
  return { ...found, copies: { into: into.qualifiedName, inserted: 0, updated: 0 }, notes };
}

export function addRows(report: Found, rows: readonly PreviewedRow[]): void {
  for (const { outcome, ...row } of rows) {
    report.counts = addCounts(report.counts, { ...NO_ROWS, processed: 1, [outcome]: 1 });
    if ('before' in row) {
      if (report.copies) report.copies[row.before ? 'updated' : 'inserted'] += 1;
      const { key, before, after } = row;
      if (report.samples.length < SAMPLES) report.samples.push({ key, before, after });
    } else if ('reason' in row && (outcome === 'ambiguous' || outcome === 'failed')) {
      if (report[outcome].length < LISTED_ROWS) report[outcome].push(row);
    }
  }
}

/** What the counts of a sample say of all rows. */
export function expectedOf(counts: RowCounts, drawn: number, of: number): Sampled['expected'] {
  const range = (count: number): NumberRange => {
    const { low, high } = shareInterval(count, drawn);
    return { low: Math.floor(low * of), high: Math.ceil(high * of) };
  };
  return {
    processed: range(counts.processed),
    migrated: range(counts.migrated),
    skipped: range(counts.skipped),
    ambiguous: range(counts.ambiguous),
    failed: range(counts.failed),
  };
}
