import type { TextStream } from './output.ts';
import { clip } from './style.ts';

/** The last lines of a terminal, drawn again in place; lines printed above stay. */
export class LiveArea {
  readonly #stream: TextStream;
  #drawn = 0;

  constructor(stream: TextStream) {
    this.#stream = stream;
  }

  /** Draws these lines over those drawn before. Lines that do not fit the terminal are cut, never wrapped. */
  draw(lines: string[]): void {
    const width = this.#stream.columns ?? 100;
    // One row stays free for the cursor; a taller area would scroll and could not be drawn over.
    const shown = lines.slice(0, Math.max(1, (this.#stream.rows ?? 50) - 1)).map((line) => clip(line, width));
    this.#stream.write(`${this.#back()}${shown.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`);
    this.#drawn = shown.length;
  }

  /** Removes what was drawn, so that ordinary lines can be printed. */
  clear(): void {
    this.#stream.write(`${this.#back()}\u001b[J`);
    this.#drawn = 0;
  }

  /** Leaves what was drawn and goes on below it. */
  end(): void {
    this.#drawn = 0;
  }

  #back(): string {
    return this.#drawn > 0 ? `\u001b[${this.#drawn}A\r` : '';
  }
}
