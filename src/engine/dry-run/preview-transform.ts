import { readRange } from '../../targets/postgres/backfill/read-range.ts';
import type { Session } from '../../targets/target.ts';
import { type BatchContext, collectRange } from '../backfill/batch.ts';
import { exceptionOf, readColumns } from '../backfill/registered-batch.ts';
import { REDACTED, redactRow, redactText } from '../exceptions/redact.ts';
import { type Derived, derive } from '../transform/derive.ts';
import type { Transform } from '../transform/transform.ts';
import { asRow, inOrder, type PreviewedRow, type PreviewRange, setAside } from './preview.ts';

/** What the TypeScript transform would make of the range. */
export async function previewByTransform(
  session: Session,
  context: BatchContext,
  transform: Transform,
  { range, limit }: PreviewRange,
): Promise<PreviewedRow[]> {
  const { phase, table, where, written } = context;
  const columns = readColumns(table, transform);
  const isolation = { phase, table, isolateFailures: true };
  const { rows, failures } = await collectRange(session, isolation, range, (part) =>
    readRange(session, table, { columns, where, range: part, lock: false, limit }),
  );
  const derived = await derive(session, transform, columns, written, rows, context.threads);
  const previewed = derived.map((row) => previewOne(row, context));
  return inOrder(session, table, range, previewed, failures.map(setAside));
}

function previewOne(derived: Derived, context: BatchContext): PreviewedRow {
  const [exception] = exceptionOf(derived, context);
  if (exception) return setAside(exception);
  const { key, row, outcome } = derived;
  if (outcome.outcome !== 'migrated') return { outcome: 'skipped', key };
  const { redact } = context.phase;
  const { columns, values } = outcome;
  return {
    outcome: 'migrated',
    key,
    before: redactRow(row, redact),
    after: redactRow(asRow(columns, values), redact),
    candidate: {
      key,
      columns,
      values,
      // What the transform gave is cast by the database.
      sources: values,
      isCast: false,
      show: ({ name }, text) => (redact.includes(name) ? REDACTED : redactText(text, row, redact)),
    },
  };
}
