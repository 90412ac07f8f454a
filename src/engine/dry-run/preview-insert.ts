import type { BackfillPhase } from '../../domain/plan.ts';
import { misfit } from '../../targets/postgres/backfill/check-values.ts';
import { type EvaluatedCopy, evaluateInsertion } from '../../targets/postgres/backfill/evaluate-insertion.ts';
import { type Insertion, updatedColumns } from '../../targets/postgres/backfill/insertion.ts';
import type { Session } from '../../targets/target.ts';
import { type BatchContext, collectRange } from '../backfill/batch.ts';
import { sharedCopy } from '../backfill/insert-batch.ts';
import { redactRow } from '../exceptions/redact.ts';
import { asRow, inOrder, type PreviewedRow, type PreviewRange, setAside, shownUnless } from './preview.ts';

/**
 * What would become of the range's copies in the plan's other table. Of rows that would share a copy only those within the
 * range are seen.
 */
export async function previewByInsertion(
  session: Session,
  context: BatchContext,
  insertion: Insertion,
  { range, limit }: PreviewRange,
): Promise<PreviewedRow[]> {
  const { phase, table, where } = context;
  const isolation = { phase, table, isolateFailures: true };
  const { rows, failures } = await collectRange(session, isolation, range, (part) =>
    evaluateInsertion(session, table, insertion, { where, range: part, limit }),
  );
  const seen = new Set<string>();
  const previewed = rows.map((row) => {
    const result = previewOne(phase, insertion, row, seen);
    // A row that does not fit makes no copy that another one could share.
    const fits = insertion.values.every(({ column }, i) => !misfit(column, row.after[i] ?? null));
    if (fits) seen.add(identityOf(insertion, row));
    return result;
  });
  return inOrder(session, table, range, previewed, failures.map(setAside));
}

/** @param seen identities of the copies that the batch would have made before. */
function previewOne(
  { redact }: BackfillPhase,
  insertion: Insertion,
  row: EvaluatedCopy,
  seen: ReadonlySet<string>,
): PreviewedRow {
  const { key, before, sources, after } = row;
  const isShared = seen.has(identityOf(insertion, row));
  const updates = updatedColumns(insertion).length > 0;
  if (isShared && updates) return { outcome: 'failed', key, reason: sharedCopy(insertion) };
  if ((before || isShared) && !updates) return { outcome: 'skipped', key };
  const columns = insertion.values.map(({ column }) => column);
  const expressions = Object.fromEntries(
    insertion.values.map(({ column, expression }) => [column.name, expression]),
  );
  const shown = (cells: readonly (string | null)[]) => redactRow(asRow(columns, cells), redact);
  const show = shownUnless(redact, expressions);
  return {
    outcome: 'migrated',
    key,
    before: before ? shown(before) : null,
    after: shown(after),
    candidate: { key, columns, values: after, sources, isCast: true, show },
  };
}

function identityOf({ into, values }: Insertion, { after }: EvaluatedCopy): string {
  const identifies = (i: number) => into.key.some(({ name }) => name === values[i]?.column.name);
  return JSON.stringify(after.filter((_, i) => identifies(i)));
}
