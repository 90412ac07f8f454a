/**
 * How large the next batch is, steered by how long the ones before it took. The constants are those of GitLab's batched
 * background migrations: exponential smoothing by 0.4, growth by a fifth at most, 90 to 95 % of the wanted time aimed at.
 */
export type BatchSize = {
  /** Rows of the next batch. */
  rows: number;
  /** Smoothed cost of a row in milliseconds; null before the first batch that told it. */
  msPerRow: number | null;
};

export type BatchSizeGoal = {
  /** How long a batch should take, in milliseconds. */
  targetMs: number;
  /** No batch is larger. */
  maxRows: number;
};

export type TimedBatch = {
  /** Rows of the table that the batch was to cover. */
  rows: number;
  /** False when fewer were left, so that it says little about the cost of a row. */
  full: boolean;
  ms: number;
};

const SMOOTHING = 0.4;
const GROWTH = 1.2;
/** Shares of the wanted time; within them the size is left as it is. */
const LOWEST = 0.9;
const AIM = 0.95;
/** What is left of a batch that ran into its statement timeout. */
const AFTER_TIMEOUT = 0.5;

export function firstBatch(rows: number, { maxRows }: BatchSizeGoal): BatchSize {
  return { rows: clamp(rows, maxRows), msPerRow: null };
}

/**
 * The size after a batch that committed. It grows by a fifth at most (or one row), and shrinks as far as the smoothed cost of
 * a row demands, so that a table that suddenly is ten times slower is met within a few batches.
 */
export function afterBatch(size: BatchSize, batch: TimedBatch, goal: BatchSizeGoal): BatchSize {
  // The rest of a range that took no longer than it should; had it taken longer, a row costs at least as much as it seems.
  if (!batch.full && batch.ms <= goal.targetMs) return size;
  const observed = batch.ms / batch.rows;
  const msPerRow = size.msPerRow === null ? observed : size.msPerRow + SMOOTHING * (observed - size.msPerRow);
  const expectedMs = size.rows * msPerRow;
  if (expectedMs >= LOWEST * goal.targetMs && expectedMs <= goal.targetMs) return { ...size, msPerRow };
  // What a batch costs by itself makes the rows of a small one seem dear: it grows all the same while there is time.
  const least = expectedMs < LOWEST * goal.targetMs ? size.rows + 1 : 1;
  const fitting = Math.max(least, Math.floor((AIM * goal.targetMs) / msPerRow));
  const most = Math.max(size.rows + 1, Math.floor(size.rows * GROWTH));
  return { rows: clamp(Math.min(fitting, most), goal.maxRows), msPerRow };
}

/** The size after a batch of so many rows that ran into its statement timeout and was rolled back. */
export function afterTimeout(size: BatchSize, rows: number, goal: BatchSizeGoal): BatchSize {
  const smaller = clamp(Math.floor(Math.min(rows, size.rows) * AFTER_TIMEOUT), goal.maxRows);
  // The smoothed cost is what made the batch that large; from now on it stands for the smaller one.
  return { rows: smaller, msPerRow: goal.targetMs / smaller };
}

function clamp(rows: number, maxRows: number): number {
  return Math.max(1, Math.min(rows, maxRows));
}
