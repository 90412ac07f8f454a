import type { KeptPreview, UndoPreview } from '../../domain/undo-preview.ts';
import { type Changed, countChanged, sampleChanged } from '../../targets/postgres/backfill/changed-rows.ts';
import { selectCheckpoint } from '../../targets/postgres/backfill/checkpoint.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import type { HeldSession, Target } from '../../targets/target.ts';
import { type BackfillJob, batchOptions, SliceClock, type SliceOptions } from '../job.ts';
import { countJournalled } from './begin.ts';
import { type UndoContext, undoContext, undoPrelude } from './context.ts';

export type PreviewOptions = SliceOptions & {
  /** Whether to compare every row, as far as `untilMs` allows. */
  countKept?: boolean | undefined;
};

/** Comparing so many takes a moment, and counting them is no slower than estimating. */
const COUNTED_ANYWAY = 20_000;
const SAMPLED_ROWS = 5_000;
const CHUNK_ROWS = 10_000;

/**
 * Finds out how many rows an undo would restore and how many it would keep, in READ ONLY transactions. Locks nothing.
 * @returns undefined when there is nothing to undo: the backfill never began, or its plan keeps no way back.
 */
export async function previewUndo(
  target: Target,
  job: BackfillJob,
  options: PreviewOptions = {},
): Promise<UndoPreview | undefined> {
  if (job.phase.undo.kind === 'none') return undefined;
  const connection = { ...batchOptions(options), readOnly: true, prelude: undoPrelude(job) };
  return target.hold(connection, async (held) => {
    const begun = await held.transaction(async (session) => {
      const checkpoint = await selectCheckpoint(session, job.runId, job.phase.name);
      if (!checkpoint?.pinned) return undefined;
      const context = await undoContext(session, job, checkpoint);
      return { context, ...(await countJournalled(session, checkpoint)) };
    });
    if (!begun) return undefined;
    const { context, rows, exact } = begun;
    const kept = context.undo.kind === 'sql' ? null : await previewKept(held, context, rows, options);
    return { rows, exact, kept };
  });
}

async function previewKept(
  held: HeldSession,
  context: UndoContext,
  rows: number,
  { countKept = false, untilMs }: PreviewOptions,
): Promise<KeptPreview> {
  if (countKept || rows <= COUNTED_ANYWAY) {
    const counted = await compareAll(held, context, untilMs);
    if (counted) return { rows: counted.changed, how: 'counted', compared: counted.looked };
  }
  const percent = Math.min(100, (100 * SAMPLED_ROWS) / Math.max(rows, 1));
  const { looked, changed } = await held.transaction((session) => sampleChanged(session, context, percent));
  const share = looked === 0 ? 0 : changed / looked;
  return { rows: Math.round(share * rows), how: 'estimated', compared: looked };
}

/** Undefined when the time does not suffice. */
async function compareAll(
  held: HeldSession,
  context: UndoContext,
  untilMs: number | undefined,
): Promise<Changed | undefined> {
  const clock = new SliceClock();
  const total = { looked: 0, changed: 0 };
  for (let below: Key | undefined; ; ) {
    const chunk = await held.transaction((session) => countChanged(session, context, below, CHUNK_ROWS));
    total.looked += chunk.looked;
    total.changed += chunk.changed;
    if (chunk.looked < CHUNK_ROWS) return total;
    if (clock.isOver({ untilMs })) return undefined;
    below = chunk.last;
  }
}
