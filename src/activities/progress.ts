import { log } from '@temporalio/activity';
import type { BackfillInput } from '../contracts/activities.ts';
import type { ControlDb } from '../db/control-db.ts';
import { recordEvent } from '../db/run-events.ts';
import { reportProgress } from '../db/run-phases.ts';
import type { Progress } from '../db/schema.ts';
import type { LoadPace, LoadReport } from '../engine/load/pace.ts';

/** Watchers see progress this often at most. */
const PROGRESS_MS = 500;

export type Direction = 'forward' | 'undo';

/** What the rows of a direction were, in words. */
export const ROWS_WERE = { forward: 'processed', undo: 'restored' } as const;

type Rows = Pick<Progress, 'counts' | 'estimatedRows' | 'rowsPerSecond'>;

/** Tells the control database how a lane gets on, and what the lanes of its backfill know of the load. */
export class ProgressReporter {
  readonly #db: ControlDb;
  readonly #input: BackfillInput;
  readonly #direction: Direction;
  readonly #pace: Pick<LoadPace, 'report'>;
  #last = 0;
  #storing: Promise<void> | undefined;
  /** The last change of what limits the backfill that was told. */
  #told = 0;

  constructor(db: ControlDb, input: BackfillInput, direction: Direction, pace: Pick<LoadPace, 'report'>) {
    this.#db = db;
    this.#input = input;
    this.#direction = direction;
    this.#pace = pace;
  }

  /** Reports at most every PROGRESS_MS and never more than one at a time; a report that fails is not worth a slice. */
  report({ counts, estimatedRows, rowsPerSecond }: Rows): void {
    const now = Date.now();
    if (this.#storing || now - this.#last < PROGRESS_MS) return;
    this.#last = now;
    this.#storing = this.#store({ counts, estimatedRows, rowsPerSecond, ...loadOf(this.#pace.report()) })
      .catch(logLater)
      .finally(() => {
        this.#storing = undefined;
      });
  }

  /** Resolves when no report is under way any more that could come after a later one. */
  async settled(): Promise<void> {
    await this.#storing;
  }

  /** Reports that its hours have ended the slice. */
  async closed(rows: Omit<Rows, 'rowsPerSecond'>, closed: { until: Date; why: string }): Promise<void> {
    await this.settled();
    const { eta } = loadOf(this.#pace.report());
    const until = closed.until.toISOString();
    await this.#store({ ...rows, rowsPerSecond: 0, eta, closed: { until, why: closed.why } });
  }

  async #store(progress: Progress): Promise<void> {
    const { runId, phase } = this.#input;
    await this.#tellChange(this.#pace.report());
    await reportProgress(this.#db, runId, phase, progress, ROWS_WERE[this.#direction]);
  }

  /** Every lane may tell; the change's number makes it one event. */
  async #tellChange(load: LoadReport | undefined): Promise<void> {
    if (!load || load.change === this.#told) return;
    const { limiter, change } = load;
    const { runId, phase } = this.#input;
    await recordEvent(this.#db, {
      runId,
      phase,
      type: 'load',
      message: limiter?.why ?? 'nothing holds it back any more',
      data: { limiter },
      key: `load/${phase}/${this.#direction}/${change}`,
    });
    this.#told = change;
  }
}

function loadOf(load: LoadReport | undefined): Pick<Progress, 'limiter' | 'eta' | 'signals'> {
  if (!load) return {};
  const { limiter, eta, signals } = load;
  const instant = (ms: number) => new Date(ms).toISOString();
  return { limiter, signals, eta: eta && { low: instant(eta.low), high: instant(eta.high) } };
}

export function logLater(error: unknown): void {
  log.warn('the control database did not take a report; the next one will say more', { error });
}
