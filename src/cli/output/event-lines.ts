import type { RunEvent } from '../../api/schemas/events.ts';
import type { Style } from './style.ts';

const PROGRESS_EVERY_MS = 5_000;

/**
 * Chooses which events are worth a line where nothing can be drawn over: of the progress of a phase one in five seconds, of
 * a gate's measurements those whose verdict differs from the one before.
 */
export class EventLines {
  readonly #style: Style;
  readonly #lastProgress = new Map<string, number>();
  readonly #verdicts = new Map<string, unknown>();

  constructor(style: Style) {
    this.#style = style;
  }

  /** @param label of the run, when there are several. */
  line(event: RunEvent, label = ''): string | undefined {
    if (!this.#isWorthALine(event)) return undefined;
    const time = this.#style.dim(event.at.slice(11, 19));
    return `${time}  ${label}${event.phase ? `${event.phase}: ` : ''}${event.message}`;
  }

  #isWorthALine(event: RunEvent): boolean {
    const phase = event.phase ?? '';
    if (event.type === 'progress') {
      const at = Date.parse(event.at);
      // The first report is worth none: most backfills are over before the second.
      const last = this.#lastProgress.get(phase) ?? at;
      const due = at - last >= PROGRESS_EVERY_MS;
      this.#lastProgress.set(phase, due ? at : last);
      return due;
    }
    if (event.type === 'gate') {
      const gate = `${phase} ${event.data.percentage} ${event.data.gate}`;
      const before = this.#verdicts.get(gate);
      this.#verdicts.set(gate, event.data.verdict);
      return before !== event.data.verdict;
    }
    return true;
  }
}
