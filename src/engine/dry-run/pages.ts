import type { SampleSize } from '../../domain/sample-size.ts';
import { findBatchEnd, findNthKey, findUpperBound } from '../../targets/postgres/backfill/find-key.ts';
import type { Rows } from '../../targets/postgres/backfill/key-range.ts';
import { sampleKeys } from '../../targets/postgres/backfill/sample-rows.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import { backfillSize } from '../../targets/postgres/backfill/table-size.ts';
import type { Session } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { isRowError } from '../errors.ts';

/** The rows to look at, page by page, each in a transaction of its own. */
export interface Pages {
  /** Rows of the table that were drawn; undefined when it is looked at from the beginning to the end. */
  readonly sampled: number | undefined;
  /** Undefined after the last page. */
  next(session: Session): Promise<Rows | undefined>;
  /** Hears how long the page took that was given last, and how many of its rows meet the plan's condition. */
  took(page: { ms: number; found: number }): void;
}

const PAGE_MS = 500;
const GROWTH = 4;
/** Rows of a page that meet the condition are held in memory. */
const MOST_FOUND = 10_000;
const MOST_ROWS = 1_000_000;
/** Keys of a sample are held in memory. */
const MOST_SAMPLED = 200_000;
const SAMPLE_PAGE = 1_000;

/** All rows beyond `after`, in the order of their keys. */
export async function wholeTable(
  session: Session,
  { table }: BatchContext,
  { after, pageRows }: { after: Key | undefined; pageRows: number },
): Promise<Pages> {
  const upTo = await findUpperBound(session, table);
  let from = after;
  let rows = pageRows;
  let isDone = upTo === undefined;
  return {
    sampled: undefined,
    async next(on) {
      if (isDone || !upTo) return undefined;
      const rest = { after: from, upTo };
      const end = await findBatchEnd(on, table, rest, rows);
      from = end ?? upTo;
      isDone = end === undefined;
      return { ...rest, upTo: from };
    },
    took({ ms, found }) {
      const byTime = rows * Math.min(GROWTH, PAGE_MS / Math.max(ms, 1));
      // A condition that few rows meet must not make for many small pages.
      const byFound = found > 0 ? (rows * MOST_FOUND) / found : MOST_ROWS;
      rows = Math.max(1, Math.floor(Math.min(byTime, byFound, MOST_ROWS)));
    },
  };
}

/** Random rows from all over the table; undefined when they would be all of it. */
export async function sampleOf(
  session: Session,
  { table }: BatchContext,
  sample: SampleSize,
): Promise<Pages | undefined> {
  const size = await backfillSize(session, table);
  const wanted = 'rows' in sample ? sample.rows : (size.rows * sample.percent) / 100;
  if (wanted >= size.rows) return undefined;
  const keys = await sampleKeys(session, table, Math.min(wanted, MOST_SAMPLED), size);
  let at = 0;
  return {
    sampled: keys.length,
    async next() {
      const page = keys.slice(at, at + SAMPLE_PAGE);
      at += page.length;
      return page.length > 0 ? { keys: page } : undefined;
    },
    took: () => {},
  };
}

/** The last row to pass over; undefined when there are fewer. */
export async function findOffset(
  session: Session,
  { table, where }: BatchContext,
  offset: number,
): Promise<Key | undefined> {
  try {
    return await withSavepoint(session, () => findNthKey(session, table, where ?? 'true', offset));
  } catch (error) {
    if (!isRowError(error)) throw error;
    throw new Error(
      `the first ${offset} rows cannot be passed over, because \`where\` fails on one of them; ` +
        'a dry run from offset 0 tells on which',
      { cause: error },
    );
  }
}
