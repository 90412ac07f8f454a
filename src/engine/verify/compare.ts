import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import { type Rows, spanOf } from '../../targets/postgres/backfill/key-range.ts';
import { readRange } from '../../targets/postgres/backfill/read-range.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { BackfillColumn, BackfillTable, Key } from '../../targets/postgres/backfill/table.ts';
import { TextArray } from '../../targets/postgres/backfill/text-array.ts';
import type { NewRow } from '../../targets/postgres/backfill/write-rows.ts';
import { compareCopies } from '../../targets/postgres/verify/compare-copies.ts';
import { compareRange } from '../../targets/postgres/verify/compare-range.ts';
import { compareRows } from '../../targets/postgres/verify/compare-rows.ts';
import type { ComparedColumn } from '../../targets/postgres/verify/comparison.ts';
import type { DifferingRow } from '../../targets/postgres/verify/differing.ts';
import { listSurplus } from '../../targets/postgres/verify/surplus.ts';
import type { Session } from '../../targets/target.ts';
import { attemptRange, type BatchContext, collectRange } from '../backfill/batch.ts';
import { exceptionOf, groupByColumns, readColumns } from '../backfill/registered-batch.ts';
import { bisect } from '../bisect.ts';
import { rowFailure } from '../errors.ts';
import { derive } from '../transform/derive.ts';
import type { Transform } from '../transform/transform.ts';

/** What rows are compared with. */
export type Derivation = {
  /** The backfill's; `isolateFailures` says whether rows that cannot be derived are looked for, or end the transaction. */
  context: BatchContext;
  /** The columns that the backfill writes. */
  columns: readonly ComparedColumn[];
  /** The other table with its rows' keys for a key, where copies without a row can be told. */
  copies?: BackfillTable | undefined;
};

/** A row that is not what its transform makes of it, or of which the transform makes nothing. */
export type Finding = DifferingRow & {
  /** It is a copy without a row; the key is the one that such a row would have. */
  surplus?: boolean | undefined;
  /** Why it cannot be derived; undefined when it can. */
  exception?: RowException | undefined;
};

export type Compared = {
  /** Rows that meet the backfill's condition. */
  checked: number;
  /** Of those, rows that the transform leaves as they are. */
  skipped: number;
  findings: Finding[];
};

/**
 * Derives the rows anew, as far as they meet the backfill's condition, and compares; writes nothing and locks nothing. All of
 * it sees one moment when the transaction does.
 * @param detailed whether to tell which columns differ, and how.
 */
export function compareWithTransform(
  session: Session,
  derivation: Derivation,
  rows: Rows,
  detailed: boolean,
): Promise<Compared> {
  const { context, columns } = derivation;
  const { table, where, insertion, transform } = context;
  const { set } = context.phase.transform.kind === 'sql' ? context.phase.transform : { set: undefined };
  if (transform) return byFunction(session, derivation, transform, rows, detailed);
  if (insertion) {
    return inDatabase(session, context, rows, (range) =>
      compareCopies(session, table, insertion, { columns, where, range, detailed }),
    );
  }
  if (set) {
    return inDatabase(session, context, rows, (range) =>
      compareRange(session, table, { set, columns, where, range, detailed }),
    );
  }
  throw new Error(`a transform of the kind ${context.phase.transform.kind} cannot be verified here`);
}

/** The rows never leave the database, but for those that differ. */
async function inDatabase(
  session: Session,
  context: BatchContext,
  rows: Rows,
  compare: (range: Rows) => Promise<{ checked: number; differing: DifferingRow[] }>,
): Promise<Compared> {
  const result: Compared = { checked: 0, skipped: 0, findings: [] };
  await attemptRange(
    session,
    context,
    rows,
    async (range) => {
      const { checked, differing } = await compare(range);
      result.checked += checked;
      for (const row of differing) result.findings.push(row);
    },
    (exception) => {
      result.checked += 1;
      result.findings.push(underivable(exception));
    },
  );
  return result;
}

async function byFunction(
  session: Session,
  derivation: Derivation,
  transform: Transform,
  rows: Rows,
  detailed: boolean,
): Promise<Compared> {
  const { context } = derivation;
  const { table, where, written } = context;
  const reads = readColumns(table, transform);
  const read = await collectRange(session, context, rows, (range) =>
    readRange(session, table, { columns: reads, where, range, lock: false }),
  );
  const derived = await derive(session, transform, reads, written, read.rows, context.threads);
  const findings = [...read.failures, ...derived.flatMap((row) => exceptionOf(row, context))].map(
    underivable,
  );
  for (const group of groupByColumns(derived)) {
    for (const row of await compareGroup(session, derivation, group, detailed)) findings.push(row);
  }
  return {
    checked: read.failures.length + derived.length,
    skipped: derived.filter(({ outcome }) => outcome.outcome === 'skipped').length,
    findings,
  };
}

/** A value that does not cast to its column cannot be there either. */
async function compareGroup(
  session: Session,
  derivation: Derivation,
  { columns, rows }: { columns: readonly BackfillColumn[]; rows: readonly NewRow[] },
  detailed: boolean,
): Promise<Finding[]> {
  const { phase, table, isolateFailures } = derivation.context;
  const findings: Finding[] = [];
  const compare = async (part: readonly NewRow[]) => {
    const keys = part.map(({ key }) => key);
    const { differing } = await compareRows(session, table, {
      rows: {
        count: part.length,
        keys: table.key.map((_, i) => TextArray.of(keys.map((key) => key[i] ?? ''))),
        values: columns.map((_, i) => TextArray.of(part.map(({ values }) => values[i] ?? null))),
      },
      columns: comparedAmong(derivation, columns),
      among: spanOf(keys),
      detailed,
    });
    return differing;
  };
  const add = (differing: DifferingRow[]) => {
    for (const row of differing) findings.push(row);
  };
  if (!isolateFailures) return compare(rows);
  await bisect(
    rows,
    async (part) => add(await withSavepoint(session, () => compare(part))),
    ({ key }, error) =>
      findings.push(underivable({ key, kind: 'failed', ...rowFailure(error, phase.redact) })),
  );
  return findings;
}

/** How these columns are compared, in their order. */
export function comparedAmong({ columns }: Derivation, derived: readonly BackfillColumn[]): ComparedColumn[] {
  return derived.flatMap((column) => columns.filter((compared) => compared.column === column));
}

/** Copies in the range, or of these keys, for which there is no row; none where they cannot be told. */
export async function findSurplus(
  session: Session,
  { context, copies }: Derivation,
  range: Rows,
): Promise<Finding[]> {
  if (!copies) return [];
  const { table, where, isolateFailures } = context;
  const keys = await listSurplus(session, table, copies, {
    // A row on which the condition fails is there all the same.
    where: isolateFailures ? undefined : where,
    range,
  });
  return keys.map((key) => ({ key, state: 'surplus', columns: [], surplus: true }));
}

/** What the database or the transform says about the row stands for what it is like. */
export function underivable(exception: RowException): Finding {
  const { key, kind, reason } = exception;
  return { key, state: `${kind}: ${reason}`, columns: [], exception };
}

/** Names a key in maps and sets. */
export function idOf(key: Key): string {
  return JSON.stringify(key);
}
