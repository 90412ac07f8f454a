import { addCounts, NO_ROWS, type RowCounts } from '../domain/counts.ts';
import type { RowException } from '../targets/postgres/backfill/exceptions.ts';
import { findBatchEnd, findNthKey, findUpperBound } from '../targets/postgres/backfill/find-key.ts';
import { columnNamed, loadTable } from '../targets/postgres/backfill/load-table.ts';
import { pinSession } from '../targets/postgres/backfill/pin-session.ts';
import { withSavepoint } from '../targets/postgres/backfill/savepoint.ts';
import type { Key } from '../targets/postgres/backfill/table.ts';
import type { Row, Session, Target } from '../targets/target.ts';
import type { BatchContext } from './batch.ts';
import { isRowError } from './errors.ts';
import { type BackfillJob, batchOptions, SliceClock, type SliceOptions, writtenColumns } from './job.ts';
import type { PreviewedRow, PreviewRange } from './preview.ts';
import { previewBySql } from './preview-sql.ts';
import { previewByTransform } from './preview-transform.ts';

export type DryRunReport = {
  counts: RowCounts;
  /** The first migrated rows: what the transform saw or will overwrite, and what it would write. */
  samples: { key: Key; before: Row; after: Row }[];
  /** The first rows of their kind; `counts` has the totals. */
  ambiguous: Omit<RowException, 'kind'>[];
  failed: Omit<RowException, 'kind'>[];
  /** Rows that meet the plan's condition and are now looked at, from the table's first one on; the next call's `offset`. */
  nextOffset: number;
  hasMore: boolean;
  durationMs: number;
  rowsPerSecond: number;
};

export type DryRunOptions = Pick<SliceOptions, 'signal' | 'lockTimeoutMs' | 'statementTimeoutMs'> & {
  /** Rows of the table per transaction; the plan's unless given. */
  batchSize?: number | undefined;
  /** Rows that meet the plan's condition to pass over, in the order of their keys. */
  offset?: number | undefined;
  /** Rows that meet the plan's condition to look at; all unless given. */
  limit?: number | undefined;
  onProgress?: ((progress: { counts: RowCounts; rowsPerSecond: number }) => void) | undefined;
};

const SAMPLES = 5;
const LISTED_ROWS = 100;

/**
 * What a backfill would do now, found out in READ ONLY transactions, one per batch: nothing is written anywhere on the
 * target, and no row is locked. Columns that the plan adds first stand in as NULL. CHECK and unique constraints, foreign keys
 * and triggers act on writes only, so what they would refuse does not show.
 * @throws the signal's reason, or the server's error.
 */
export async function dryRunBackfill(
  target: Target,
  job: Pick<BackfillJob, 'phase' | 'transforms'>,
  options: DryRunOptions = {},
): Promise<DryRunReport> {
  const clock = new SliceClock();
  const report = emptyReport();
  const transaction = <T>(work: (session: Session) => Promise<T>) =>
    target.transaction({ ...batchOptions(options), readOnly: true }, async (session) => {
      await pinSession(session);
      return work(session);
    });
  const { context, upperBound, start } = await transaction((session) => open(session, job, options));
  const offset = options.offset ?? 0;
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  const batchSize = options.batchSize ?? job.phase.batchSize;
  let after = start;
  let atEnd = upperBound === undefined || (offset > 0 && start === undefined);
  while (upperBound && !atEnd && !report.hasMore) {
    const rest = { after, upTo: upperBound };
    const room = limit - report.counts.processed;
    const end: Key = await transaction(async (session) => {
      const batchEnd = (await findBatchEnd(session, context.table, rest, batchSize)) ?? upperBound;
      // One row more than there is room for tells whether there is more.
      const rows = await preview(session, context, {
        range: { ...rest, upTo: batchEnd },
        limit: options.limit === undefined ? undefined : room + 1,
      });
      report.hasMore = rows.length > room;
      addRows(report, rows.slice(0, room));
      return batchEnd;
    });
    after = end;
    atEnd = end.join('\0') === upperBound.join('\0');
    options.onProgress?.({ counts: report.counts, rowsPerSecond: clock.rate(report.counts.processed) });
  }
  const { processed } = report.counts;
  return {
    ...report,
    nextOffset: offset + processed,
    durationMs: Math.round(clock.elapsedMs()),
    rowsPerSecond: clock.rate(processed),
  };
}

type Opened = { context: BatchContext; upperBound: Key | undefined; start: Key | undefined };

/** `start` is the last row passed over. */
async function open(
  session: Session,
  { phase, transforms }: Pick<BackfillJob, 'phase' | 'transforms'>,
  { offset = 0 }: DryRunOptions,
): Promise<Opened> {
  const table = await loadTable(session, phase);
  const { transform, where } = phase;
  const context: BatchContext = {
    phase,
    table,
    written: writtenColumns({ phase, transforms }).map((name) =>
      columnNamed(table.columns, name, table.qualifiedName),
    ),
    journal: undefined,
    transform:
      transform.kind === 'registered' ? transforms.lookup(transform.name, transform.version) : undefined,
  };
  const start = offset > 0 ? await findStart(session, context, where ?? 'true', offset) : undefined;
  return { context, upperBound: await findUpperBound(session, table), start };
}

async function findStart(
  session: Session,
  { table }: BatchContext,
  where: string,
  offset: number,
): Promise<Key | undefined> {
  try {
    return await withSavepoint(session, () => findNthKey(session, table, where, offset));
  } catch (error) {
    if (!isRowError(error)) throw error;
    throw new Error(
      `the first ${offset} rows cannot be passed over, because \`where\` fails on one of them; ` +
        'a dry run from offset 0 tells on which',
      { cause: error },
    );
  }
}

function preview(session: Session, context: BatchContext, part: PreviewRange): Promise<PreviewedRow[]> {
  const { transform } = context.phase;
  if (context.transform) return previewByTransform(session, context, context.transform, part);
  if (transform.kind === 'sql') return previewBySql(session, context, transform.set, part);
  throw new Error(`the transform ${transform.name}@${transform.version} was not looked up`);
}

type Found = Pick<DryRunReport, 'counts' | 'samples' | 'ambiguous' | 'failed' | 'hasMore'>;

function emptyReport(): Found {
  return { counts: NO_ROWS, samples: [], ambiguous: [], failed: [], hasMore: false };
}

function addRows(report: Found, rows: readonly PreviewedRow[]): void {
  for (const { outcome, ...row } of rows) {
    report.counts = addCounts(report.counts, { ...NO_ROWS, processed: 1, [outcome]: 1 });
    if ('before' in row) {
      if (report.samples.length < SAMPLES) report.samples.push(row);
    } else if ('reason' in row && (outcome === 'ambiguous' || outcome === 'failed')) {
      if (report[outcome].length < LISTED_ROWS) report[outcome].push(row);
    }
  }
}
