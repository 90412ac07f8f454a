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
  readonly #verdicts = new Map<string, string>();

  constructor(style: Style) {
    this.#style = style;
  }

  line(event: RunEvent): string | undefined {
    if (!this.#isWorthALine(event)) return undefined;
    const { style } = { style: this.#style };
    const phase = event.phase ? `${event.phase}: ` : '';
    return `${style.dim(event.at.slice(11, 19))}  ${phase}${event.message}`;
  }

  #isWorthALine(event: RunEvent): boolean {
    if (event.type === 'progress') {
      const at = Date.parse(event.at);
      const last = this.#lastProgress.get(event.phase ?? '');
      if (last === undefined) this.#lastProgress.set(event.phase ?? '', at);
      if (last === undefined || at - last < PROGRESS_EVERY_MS) return false;
      this.#lastProgress.set(event.phase ?? '', at);
      return true;
    }
    if (event.type === 'gate') {
      const gate = `${event.phase} ${event.data.percentage} ${event.data.gate}`;
      const verdict = String(event.data.verdict);
      const before = this.#verdicts.get(gate);
      this.#verdicts.set(gate, verdict);
      return before !== verdict;
    }
    return true;
  }
}
