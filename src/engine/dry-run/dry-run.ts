import type { RowCounts } from '../../domain/counts.ts';
import type { SampleSize } from '../../domain/sample-size.ts';
import { pinSession } from '../../targets/postgres/backfill/pin-session.ts';
import { backfillSize } from '../../targets/postgres/backfill/table-size.ts';
import type { Session, Target } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { type BackfillJob, batchOptions, SliceClock, type SliceOptions } from '../job.ts';
import { previewContext } from './context.ts';
import { Findings } from './findings.ts';
import { findOffset, type Pages, sampleOf, wholeTable } from './pages.ts';
import { type PreviewedRow, type PreviewRange, scanned } from './preview.ts';
import { previewByInsertion } from './preview-insert.ts';
import { previewBySql } from './preview-sql.ts';
import { previewByTransform } from './preview-transform.ts';
import { addRows, type DryRunReport, emptyReport, expectedOf, type Found, type Sampled } from './report.ts';
import { RowScan } from './scan.ts';

export type { DryRunReport };

export type DryRunOptions = Pick<SliceOptions, 'signal' | 'lockTimeoutMs' | 'statementTimeoutMs'> & {
  /** Rows of the table in the first transaction; later ones are sized by the time they take. The plan's unless given. */
  batchSize?: number | undefined;
  /** Rows that meet the plan's condition to pass over, in the order of their keys. */
  offset?: number | undefined;
  /** Rows that meet the plan's condition to look at; all unless given. */
  limit?: number | undefined;
  /** Looks at random rows from all over the table only, if it has more; then neither `offset` nor `limit` counts. */
  sample?: SampleSize | undefined;
  onProgress?: ((progress: { counts: RowCounts; rowsPerSecond: number }) => void) | undefined;
};

type Transaction = <T>(work: (session: Session) => Promise<T>) => Promise<T>;

/**
 * What a backfill would do now, found out in READ ONLY transactions, one per page of rows: nothing is written anywhere on
 * the target, and no row is locked. Columns that the plan adds first stand in as NULL. What triggers, policies and exclusion
 * constraints would refuse does not show.
 * @throws the signal's reason, or the server's error.
 */
export async function dryRunBackfill(
  target: Target,
  job: Pick<BackfillJob, 'phase' | 'transforms'>,
  options: DryRunOptions = {},
): Promise<DryRunReport> {
  const clock = new SliceClock();
  const transaction: Transaction = (work) =>
    target.transaction({ ...batchOptions(options), readOnly: true }, async (session) => {
      await pinSession(session);
      return work(session);
    });
  const findings = new Findings();
  const { context, scan, pages } = await transaction(async (session) => {
    const opened = await previewContext(session, job);
    const rowScan = new RowScan(opened, findings);
    await rowScan.begin(session);
    return { context: opened, scan: rowScan, pages: await pagesOf(session, opened, options) };
  });
  const report = emptyReport(context);
  await lookAt(transaction, context, scan, { pages, report, clock, options });
  report.notes.push(...scan.notes);
  const { processed } = report.counts;
  return {
    ...report,
    ...findings.report(),
    sample: await transaction((session) => sampledOf(session, context, pages, report)),
    nextOffset: pages.sampled === undefined ? (options.offset ?? 0) + processed : 0,
    durationMs: Math.round(clock.elapsedMs()),
    rowsPerSecond: clock.rate(processed),
  };
}

async function pagesOf(session: Session, context: BatchContext, options: DryRunOptions): Promise<Pages> {
  const { sample, offset = 0, batchSize = context.phase.batchSize } = options;
  const sampled = sample && (await sampleOf(session, context, sample));
  if (sampled) return sampled;
  const passed = sample ? 0 : offset;
  const after = passed > 0 ? await findOffset(session, context, passed) : undefined;
  if (passed > 0 && !after) return NO_PAGES;
  return wholeTable(session, context, { after, pageRows: batchSize });
}

const NO_PAGES: Pages = { sampled: undefined, next: async () => undefined, took: () => {} };

async function lookAt(
  transaction: Transaction,
  context: BatchContext,
  scan: RowScan,
  {
    pages,
    report,
    clock,
    options,
  }: { pages: Pages; report: Found; clock: SliceClock; options: DryRunOptions },
): Promise<void> {
  const { sample, limit: given, onProgress } = options;
  const limit = sample ? undefined : given;
  for (let isDone = false; !isDone && !report.hasMore; ) {
    const room = (limit ?? Number.POSITIVE_INFINITY) - report.counts.processed;
    const begun = performance.now();
    isDone = await transaction(async (session) => {
      const range = await pages.next(session);
      if (!range) return true;
      // One row more than there is room for tells whether there is more.
      const part = { range, limit: limit === undefined ? undefined : room + 1 };
      const rows = await preview(session, context, part);
      report.hasMore = rows.length > room;
      const { redact } = context.phase;
      addRows(report, await scanned(session, scan, rows.slice(0, room), redact));
      pages.took({ ms: performance.now() - begun, found: rows.length });
      return false;
    });
    onProgress?.({ counts: report.counts, rowsPerSecond: clock.rate(report.counts.processed) });
  }
}

function preview(session: Session, context: BatchContext, part: PreviewRange): Promise<PreviewedRow[]> {
  const { transform } = context.phase;
  if (context.transform) return previewByTransform(session, context, context.transform, part);
  if (context.insertion) return previewByInsertion(session, context, context.insertion, part);
  if (transform.kind === 'sql') return previewBySql(session, context, transform.set, part);
  throw new Error(`a transform of the kind ${transform.kind} cannot be run here`);
}

async function sampledOf(
  session: Session,
  { table }: BatchContext,
  { sampled: drawn }: Pages,
  { counts }: Found,
): Promise<Sampled | undefined> {
  if (drawn === undefined) return undefined;
  const { rows } = await backfillSize(session, table);
  return { drawn, of: Math.round(rows), expected: expectedOf(counts, drawn, Math.round(rows)) };
}
