import { misfit } from '../targets/postgres/backfill/check-values.ts';
import { decode } from '../targets/postgres/backfill/decode.ts';
import { type EvaluatedRow, evaluateRange } from '../targets/postgres/backfill/evaluate-range.ts';
import type { BackfillColumn } from '../targets/postgres/backfill/table.ts';
import type { Row, Session } from '../targets/target.ts';
import { type BatchContext, collectRange } from './batch.ts';
import { failing, inOrder, type PreviewedRow, type PreviewRange } from './preview.ts';

/** What the plan's SQL expressions would make of the range. */
export async function previewBySql(
  session: Session,
  { table, written, phase }: BatchContext,
  set: Record<string, string>,
  { range, limit }: PreviewRange,
): Promise<PreviewedRow[]> {
  const { rows, failures } = await collectRange(session, table, range, (part) =>
    evaluateRange(session, table, { set, written, where: phase.where, range: part, limit }),
  );
  const previewed = rows.map((row) => previewOne(written, row));
  return inOrder(session, table, range, previewed, failures.map(failing));
}

function previewOne(written: readonly BackfillColumn[], { key, before, after }: EvaluatedRow): PreviewedRow {
  const reason = written.map((column, i) => misfit(column, after[i] ?? null)).find((found) => found);
  if (reason) return { outcome: 'failed', key, reason };
  return { outcome: 'migrated', key, before: asRow(written, before), after: asRow(written, after) };
}

function asRow(columns: readonly BackfillColumn[], cells: readonly (string | null)[]): Row {
  return Object.fromEntries(columns.map((column, i) => [column.name, decode(column, cells[i] ?? null)]));
}
