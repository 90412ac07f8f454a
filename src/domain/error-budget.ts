import type { RowCounts } from './counts.ts';
import type { ErrorBudget } from './plan.ts';

/** Fewer rows than this say nothing about a share. */
const ROWS_BEFORE_SHARE_COUNTS = 50;

/** In words, how the failing rows exceed the budget; undefined while they don't. */
export function budgetExceeded(budget: ErrorBudget, counts: RowCounts): string | undefined {
  if (counts.failed > budget.rows) {
    return `${counts.failed} rows failed; the error budget allows ${budget.rows}`;
  }
  const share = counts.processed === 0 ? 0 : counts.failed / counts.processed;
  if (counts.processed >= ROWS_BEFORE_SHARE_COUNTS && share > budget.share) {
    return `${percent(share)} of ${counts.processed} rows failed; the error budget allows ${percent(budget.share)}`;
  }
  return undefined;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
