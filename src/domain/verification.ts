import type { RowCounts } from './counts.ts';
import { plural } from './plural.ts';

/**
 * Rows of a verification by what was found: checked = equal + skipped + waiting + repaired + differing + ambiguous + failed +
 * pending.
 */
export type VerifyCounts = {
  /** Rows that meet the backfill's condition. */
  checked: number;
  /** As their transform makes them, at the first look or a later one. Rows that are gone by then count as well. */
  equal: number;
  /** Left as they are by the transform, or by a person's decision. */
  skipped: number;
  /** Their keys were captured, and the sync has yet to derive them. */
  waiting: number;
  /** They differed, and were derived anew. */
  repaired: number;
  /** They differ. */
  differing: number;
  /** Set aside: the transform cannot decide about them. */
  ambiguous: number;
  /** Set aside: they cannot be derived. */
  failed: number;
  /** Found differing, and to be looked at again before that counts. */
  pending: number;
  /** Of the failed ones, those that nobody knew of before. They are not in the sum. */
  newlyFailed: number;
  /** Copies without a row, where the backfill fills another table and that can be told. They are not in the sum. */
  surplus: number;
};

/** The same in the words of a backfill, for whoever shows both: what differs has failed. */
export function asRowCounts(counts: VerifyCounts): RowCounts {
  const { checked, equal, skipped, waiting, repaired, differing, ambiguous, failed, pending } = counts;
  return {
    processed: checked,
    migrated: equal + repaired,
    skipped: skipped + waiting,
    ambiguous,
    failed: failed + differing + pending,
  };
}

/** In words, what keeps a verification that repairs nothing from passing; undefined when nothing does. */
export function driftInWords({ checked, differing }: VerifyCounts): string | undefined {
  if (differing === 0) return undefined;
  return `${differing} of ${plural(checked, 'row')} ${differing === 1 ? 'differs' : 'differ'} from what the transform makes of them`;
}

/** `1200 rows: 1195 equal, 4 repaired, 1 ambiguous`. */
export function verifiedInWords(counts: VerifyCounts): string {
  const { checked, equal, skipped, repaired, differing, ambiguous, failed, waiting, pending, surplus } =
    counts;
  const parts: [number, string][] = [
    [repaired, 'repaired'],
    [differing, 'differing'],
    [skipped, 'skipped'],
    [ambiguous, 'ambiguous'],
    [failed, 'failed'],
    [waiting, 'waiting for the sync'],
    [pending, 'to be looked at again'],
  ];
  const others = parts.filter(([rows]) => rows > 0).map(([rows, what]) => `, ${rows} ${what}`);
  const copies = surplus > 0 ? `; ${plural(surplus, 'copy', 'copies')} without a row` : '';
  return `${plural(checked, 'row')}: ${equal} equal${others.join('')}${copies}`;
}
