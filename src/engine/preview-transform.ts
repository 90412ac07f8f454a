import { checkValues, misfit } from '../targets/postgres/backfill/check-values.ts';
import type { RowException } from '../targets/postgres/backfill/exceptions.ts';
import { readRange } from '../targets/postgres/backfill/read-range.ts';
import { withSavepoint } from '../targets/postgres/backfill/savepoint.ts';
import type { Key } from '../targets/postgres/backfill/table.ts';
import type { Session } from '../targets/target.ts';
import { type BatchContext, collectRange } from './batch.ts';
import { bisect } from './bisect.ts';
import { type Derived, derive } from './derive.ts';
import { rowFailure } from './errors.ts';
import { failing, inOrder, type PreviewedRow, type PreviewRange } from './preview.ts';
import { groupByColumns, readColumns } from './registered-batch.ts';
import type { Transform } from './transform.ts';

/** What the TypeScript transform would make of the range. */
export async function previewByTransform(
  session: Session,
  { table, written, phase }: BatchContext,
  transform: Transform,
  { range, limit }: PreviewRange,
): Promise<PreviewedRow[]> {
  const columns = readColumns(table, transform);
  const { rows, failures } = await collectRange(session, table, range, (part) =>
    readRange(session, table, { columns, where: phase.where, range: part, lock: false, limit }),
  );
  const derived = await derive(session, transform, columns, written, rows);
  const refused = await findRefused(session, derived);
  const previewed = derived.map((row) => previewOne(row, refused.get(JSON.stringify(row.key))));
  return inOrder(session, table, range, previewed, failures.map(failing));
}

function previewOne({ key, row, outcome }: Derived, refused: RowException | undefined): PreviewedRow {
  if (refused) return failing(refused);
  switch (outcome.outcome) {
    case 'migrated':
      return { outcome: 'migrated', key, before: row, after: outcome.given };
    case 'skipped':
      return { outcome: 'skipped', key };
    case 'ambiguous':
      return { outcome: 'ambiguous', key, reason: outcome.reason, suggestion: outcome.suggestion };
    case 'failed':
      return { outcome: 'failed', key, reason: outcome.reason };
  }
}

/** Rows whose values the columns' types would not take, by key. */
async function findRefused(
  session: Session,
  derived: readonly Derived[],
): Promise<Map<string, RowException>> {
  const refused = new Map<string, RowException>();
  const refuse = (key: Key, why: Omit<RowException, 'key' | 'kind'>) =>
    refused.set(JSON.stringify(key), { key, kind: 'failed', ...why });
  for (const { columns, rows } of groupByColumns(derived)) {
    const fitting = rows.filter(({ key, values }) => {
      const reason = columns.map((column, i) => misfit(column, values[i] ?? null)).find((found) => found);
      if (reason) refuse(key, { reason });
      return !reason;
    });
    await bisect(
      fitting,
      (part) =>
        withSavepoint(session, () =>
          checkValues(
            session,
            columns,
            part.map((row) => row.values),
          ),
        ),
      ({ key }, error) => refuse(key, rowFailure(error)),
    );
  }
  return refused;
}
