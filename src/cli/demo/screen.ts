import type { RunEvent } from '../../api/schemas/events.ts';
import type { RunDetail } from '../../api/schemas/runs.ts';
import { EventLines } from '../output/event-lines.ts';
import { LiveArea } from '../output/live-area.ts';
import type { Output } from '../output/output.ts';
import { runLines } from '../output/run-view.ts';
import { padEnd } from '../output/style.ts';
import { type RunView, readEvent } from '../run-view.ts';
import { fitting } from '../watch-run.ts';

const REDRAW_MS = 250;

/** Several runs at once: drawn in place on a terminal, a line per event elsewhere. */
export class Screen {
  readonly #out: Output;
  readonly #area: LiveArea | undefined;
  readonly #views = new Map<string, Partial<RunView>>();
  readonly #eventLines = new Map<string, EventLines>();
  #clock: NodeJS.Timeout | undefined;

  constructor(out: Output) {
    this.#out = out;
    this.#area = out.live ? new LiveArea(out.stdout) : undefined;
  }

  start(): void {
    // Between events only the clocks move.
    if (this.#area) this.#clock = setInterval(() => this.#draw(), REDRAW_MS);
  }

  end(): void {
    clearInterval(this.#clock);
    this.#area?.clear();
  }

  /** Adds a line that stays. */
  say(line: string): void {
    this.#area?.clear();
    this.#out.say(line);
    this.#draw();
  }

  detail(run: RunDetail): void {
    this.#view(run.id).run = run;
    this.#draw();
  }

  event(runId: string, plan: string, event: RunEvent): void {
    readEvent(this.#view(runId), event);
    if (this.#area) return;
    const lines = this.#eventLines.get(runId) ?? new EventLines(this.#out.style);
    this.#eventLines.set(runId, lines);
    const line = lines.line(event, padEnd(plan, 18));
    if (line) this.#out.say(line);
  }

  view(runId: string): Partial<RunView> {
    return this.#view(runId);
  }

  #view(runId: string): Partial<RunView> {
    const view = this.#views.get(runId) ?? {};
    this.#views.set(runId, view);
    return view;
  }

  #draw(): void {
    const views = [...this.#views.values()]
      .filter((view): view is RunView => view.run !== undefined)
      .sort((a, b) => a.run.plan.localeCompare(b.run.plan));
    this.#area?.draw(
      fitting(this.#out, (compact) =>
        views.flatMap((view) => ['', ...runLines(this.#out.style, view, compact)]),
      ),
    );
  }
}
