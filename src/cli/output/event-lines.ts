import type { RunEvent } from '../../api/schemas/events.ts';
import { isFinal, type RunStatus } from '../../domain/run-state.ts';
import type { Style } from './style.ts';

const PROGRESS_EVERY_MS = 5_000;

/**
 * Chooses which events are worth a line where nothing can be drawn over: of the progress of a phase one in five seconds, of
 * a gate's measurements those whose verdict differs from the one before, of
 * several that say the same in a row (a command, and the change of state that it led to) the first.
 */
export class EventLines {
  readonly #style: Style;
  readonly #lastProgress = new Map<string, number>();
  readonly #verdicts = new Map<string, unknown>();
  readonly #last = new Map<string, string>();

  constructor(style: Style) {
    this.#style = style;
  }

  /** @param label of the run, when there are several. */
  line(event: RunEvent, label = ''): string | undefined {
    if (!this.#isWorthALine(event)) return undefined;
    const text = `${event.phase ? `${event.phase}: ` : ''}${ending(event)}${event.message}`;
    const isState = event.type === 'run' || event.type === 'phase';
    if (isState && this.#last.get(label) === text) return undefined;
    this.#last.set(label, text);
    return `${this.#style.dim(event.at.slice(11, 19))}  ${label}${text}`;
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

/** How a run ended. The message of its last event is the reason, which by itself reads as if something began. */
function ending({ type, data, message }: RunEvent): string {
  if (type !== 'run' || !isFinal(data.status as RunStatus)) return '';
  const words = String(data.status).replaceAll('_', ' ');
  return message === words ? '' : `${words}: `;
}
