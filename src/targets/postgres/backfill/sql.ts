/** Collects the parameters of one statement while its text is written. */
export class Params {
  readonly values: unknown[] = [];

  /** Returns the placeholder that stands for the value. */
  add(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/** A plan's expression in parentheses; the line break ends a comment that it may close with. */
export function parenthesised(expression: string): string {
  return `(${expression}\n)`;
}
