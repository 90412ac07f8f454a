import type { WriteStream } from 'node:tty';
import { createStyle, type Style } from './style.ts';

/** A stream to write to; a terminal when it has `columns`. */
export type TextStream = Pick<NodeJS.WritableStream, 'write'> &
  Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'rows' | 'hasColors'>>;

/** Where a command speaks: results go to stdout, everything said along the way to stderr. */
export class Output {
  readonly style: Style;
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly json: boolean;

  constructor(stdout: TextStream, stderr: TextStream, json: boolean) {
    this.stdout = stdout;
    this.stderr = stderr;
    this.json = json;
    // hasColors() knows NO_COLOR, FORCE_COLOR and the terminal's own limits.
    this.style = createStyle(stdout.isTTY === true && stdout.hasColors?.() === true);
  }

  /** May lines be drawn over? */
  get live(): boolean {
    return !this.json && this.stdout.isTTY === true;
  }

  get width(): number {
    return this.stdout.columns ?? 100;
  }

  lines(lines: string | string[]): void {
    this.stdout.write(`${[lines].flat().join('\n')}\n`);
  }

  /** Lines on the way to the result: on stdout for a person, on stderr where stdout is for programs. */
  say(lines: string | string[]): void {
    (this.json ? this.stderr : this.stdout).write(`${[lines].flat().join('\n')}\n`);
  }

  /** One line on stderr. */
  note(text: string): void {
    this.stderr.write(`${text}\n`);
  }

  /** The command's result: the document for `--json`, else the lines for a person. */
  result(document: unknown, lines: () => string[]): void {
    if (this.json) this.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    else this.lines(lines());
  }

  /** One document a line, for `--json` with `--watch`. */
  jsonLine(document: unknown): void {
    this.stdout.write(`${JSON.stringify(document)}\n`);
  }
}
