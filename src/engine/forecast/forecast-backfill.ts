import { durationMs } from '../../domain/duration.ts';
import { type Forecast, type ForecastFacts, forecast } from '../../domain/forecast.ts';
import type { NumberRange } from '../../domain/number-range.ts';
import { pinSession } from '../../targets/postgres/backfill/pin-session.ts';
import { readRange } from '../../targets/postgres/backfill/read-range.ts';
import { type SampleFacts, sampleFacts } from '../../targets/postgres/backfill/sample-facts.ts';
import { sampleKeys } from '../../targets/postgres/backfill/sample-rows.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { BackfillColumn } from '../../targets/postgres/backfill/table.ts';
import { backfillSize, type TableSize } from '../../targets/postgres/backfill/table-size.ts';
import {
  indexFacts,
  measureRoundTrip,
  measureSlowness,
  serverFacts,
} from '../../targets/postgres/backfill/write-facts.ts';
import { quoteIdentifier } from '../../targets/postgres/catalog.ts';
import type { Session, Target } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { readColumns } from '../backfill/registered-batch.ts';
import { previewContext } from '../dry-run/context.ts';
import { isRowError } from '../errors.ts';
import { type BackfillJob, batchOptions, type SliceOptions } from '../job.ts';
import { derive } from '../transform/derive.ts';

export type BackfillForecast = Forecast & {
  /** Rows that it is a forecast for. */
  rows: NumberRange;
  /** What it leaves out, in words. */
  notes: string[];
};

/** Rows that a TypeScript transform is timed on. */
const DERIVED_ROWS = 1_000;
const HEADER_BYTES = 24;
/** SHA-256 with its length, as the journal keeps it of the values that were written. */
const DIGEST_BYTES = 36;
/** Longer rows have long values compressed or kept apart (TOAST_TUPLE_THRESHOLD). */
const LONGEST_ROW = 2_032;
const POINTER_BYTES = 18;
/** What is left of long values: texts and JSON compress well, what is random does not, and chunks leave room on a page. */
const COMPRESSED = { low: 0.4, high: 1.05 };
/** A batch is sized by the time it takes; a row takes about so many microseconds. */
const ROW_MICROS = 15;

/**
 * What the backfill will cost, from what can be measured on the target without writing: rows from all over the table, how
 * long it takes to read them and compute what they get, and how the table, its indexes and the server are laid out.
 * @param written rows that will be written.
 * @throws the signal's reason, or the server's error.
 */
export function forecastBackfill(
  target: Target,
  job: Pick<BackfillJob, 'phase' | 'transforms'>,
  written: NumberRange,
  options: Pick<SliceOptions, 'signal' | 'lockTimeoutMs' | 'statementTimeoutMs'> = {},
): Promise<BackfillForecast> {
  return target.transaction({ ...batchOptions(options), readOnly: true }, async (session) => {
    await pinSession(session);
    const context = await previewContext(session, job);
    const size = await backfillSize(session, context.table);
    const notes = [
      'Time in which load signals, windows or blackouts hold the backfill back is left out',
      ...(context.transform ? ['One worker, with nothing else to do, is assumed'] : []),
    ];
    const measured = await measure(session, context, size, notes);
    const facts = await factsOf(session, context, { size, written, measured });
    return { ...forecast(facts), rows: written, notes };
  });
}

type Measured = SampleFacts & { transformMicros: number };

async function measure(
  session: Session,
  context: BatchContext,
  size: TableSize,
  notes: string[],
): Promise<Measured> {
  const { table, where, transform, phase, insertion, written } = context;
  const reads = transform ? readColumns(table, transform) : [];
  const expressions = transform
    ? reads.map(({ name }) => quoteIdentifier(name))
    : Object.values('set' in phase.transform ? phase.transform.set : (valuesOf(phase.transform) ?? {}));
  const own = insertion ? [] : written;
  try {
    const facts = await withSavepoint(session, () =>
      sampleFacts(session, table, size, { where, expressions, written: own }),
    );
    if (!transform) return { ...facts, transformMicros: 0 };
    return { ...facts, ...(await timeTransform(session, context, reads, size)) };
  } catch (error) {
    if (!isRowError(error)) throw error;
    notes.push('Measured without the plan’s expressions, because they fail on some of the rows');
    const facts = await sampleFacts(session, table, size, {
      where: undefined,
      expressions: [],
      written: own,
    });
    return { ...facts, due: facts.read, newBytes: facts.oldBytes, transformMicros: 0 };
  }
}

function valuesOf(transform: BatchContext['phase']['transform']): Record<string, string> | undefined {
  return transform.kind === 'insert' ? transform.values : undefined;
}

/** Runs the transform over rows from all over the table, for how long it takes and how large its values are. */
async function timeTransform(
  session: Session,
  { table, where, transform, threads, written }: BatchContext,
  reads: readonly BackfillColumn[],
  size: TableSize,
): Promise<{ transformMicros: number; newBytes: number }> {
  if (!transform) return { transformMicros: 0, newBytes: 0 };
  const keys = await sampleKeys(session, table, DERIVED_ROWS, size);
  const rows = await readRange(session, table, { columns: reads, where, range: { keys }, lock: false });
  if (rows.length === 0) return { transformMicros: 0, newBytes: 0 };
  const begun = performance.now();
  const derived = await derive(session, transform, reads, written, rows, threads);
  const transformMicros = ((performance.now() - begun) * 1_000) / rows.length;
  const values = derived.flatMap(({ outcome }) => (outcome.outcome === 'migrated' ? [outcome.values] : []));
  const bytes = values
    .flat()
    .reduce((sum, value) => sum + (value === null ? 0 : Buffer.byteLength(value)), 0);
  return { transformMicros, newBytes: bytes / Math.max(values.length, 1) };
}

async function factsOf(
  session: Session,
  context: BatchContext,
  { size, written, measured }: { size: TableSize; written: NumberRange; measured: Measured },
): Promise<ForecastFacts> {
  const { table, phase, insertion, transform } = context;
  const into = insertion?.into ?? table;
  const row = rowAfter(measured, insertion !== undefined);
  const { undo } = phase;
  const maxRows = (durationMs(phase.batchDuration) * 1_000) / ROW_MICROS;
  return {
    read: size.rows,
    written,
    readMicros: measured.readMicros,
    transformMicros: measured.transformMicros,
    kind: insertion ? 'insert' : 'update',
    table: { pages: size.pages, rows: size.rows, correlation: measured.correlation },
    rowBytes: measured.rowBytes,
    newRowBytes: row.bytes,
    writtenBytes: measured.newBytes,
    toastBytes: row.toastBytes,
    longBytes: row.toastBytes.high > 0 ? measured.newBytes : 0,
    indexes: await indexFacts(session, into.qualifiedName, {
      key: into.key.map(({ name }) => name),
      written: insertion ? [] : context.written.map(({ name }) => name),
      inOrder: measured.correlation > 0.9,
    }),
    journal:
      undo.kind === 'none'
        ? undefined
        : {
            keyBytes: measured.keyBytes,
            valueBytes: undo.kind === 'journal' ? measured.oldBytes + DIGEST_BYTES : 0,
          },
    locksFirst: insertion
      ? undo.kind !== 'none'
      : table.mayRefuseWrites || (!transform && undo.kind !== 'none' && !table.returnsOld),
    batch: {
      rows: Math.max(1, Math.min(phase.maxBatchSize, maxRows)),
      roundTripMicros: await measureRoundTrip(session),
    },
    parallelism: phase.parallelism,
    server: { ...(await serverFacts(session)), slowness: await measureSlowness(session) },
  };
}

/** Of a row that would be too long, the values that are written are taken to be kept apart. */
function rowAfter(
  { rowBytes, oldBytes, newBytes }: SampleFacts,
  isNew: boolean,
): { bytes: number; toastBytes: NumberRange } {
  const others = isNew ? HEADER_BYTES : rowBytes - oldBytes;
  if (others + newBytes <= LONGEST_ROW) return { bytes: others + newBytes, toastBytes: { low: 0, high: 0 } };
  const toastBytes = { low: newBytes * COMPRESSED.low, high: newBytes * COMPRESSED.high };
  return { bytes: Math.min(others + POINTER_BYTES, LONGEST_ROW), toastBytes };
}
