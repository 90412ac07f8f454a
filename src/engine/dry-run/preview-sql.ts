import { type EvaluatedRow, evaluateRange } from '../../targets/postgres/backfill/evaluate-range.ts';
import type { Session } from '../../targets/target.ts';
import { type BatchContext, collectRange } from '../backfill/batch.ts';
import { redactRow } from '../exceptions/redact.ts';
import { asRow, inOrder, type PreviewedRow, type PreviewRange, setAside, shownUnless } from './preview.ts';
import type { Candidate } from './scan.ts';

/** What the plan's SQL expressions would make of the range. */
export async function previewBySql(
  session: Session,
  context: BatchContext,
  set: Record<string, string>,
  { range, limit }: PreviewRange,
): Promise<PreviewedRow[]> {
  const { phase, table, where, written } = context;
  const isolation = { phase, table, isolateFailures: true };
  const { rows, failures } = await collectRange(session, isolation, range, (part) =>
    evaluateRange(session, table, { set, written, where, range: part, limit }),
  );
  const show = shownUnless(phase.redact, set);
  const previewed = rows.map((row) => previewOne(context, row, show));
  return inOrder(session, table, range, previewed, failures.map(setAside));
}

function previewOne(
  { phase, written }: BatchContext,
  { key, before, sources, after }: EvaluatedRow,
  show: Candidate['show'],
): PreviewedRow {
  const shown = (cells: readonly (string | null)[]) => redactRow(asRow(written, cells), phase.redact);
  return {
    outcome: 'migrated',
    key,
    before: shown(before),
    after: shown(after),
    candidate: { key, columns: written, values: after, sources, isCast: true, show },
  };
}
