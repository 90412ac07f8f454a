import type { Loss } from '../../domain/loss.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';

/** Rows that lose something without anybody refusing them. */
export type Lossy = {
  column: string;
  loss: Loss;
  rows: number;
  samples: { key: Key; from: string; to: string }[];
};

/** Rows that a constraint would refuse; they are among the failed ones. */
export type Violation = {
  constraint: string;
  kind: 'not-null' | 'length' | 'check' | 'foreign-key' | 'unique';
  rows: number;
  keys: Key[];
};

/** Rows whose new value is NULL. */
export type NullValues = { column: string; rows: number; keys: Key[] };

const SAMPLES = 5;

/** What is counted of the rows of a dry run, with the first rows of each kind. */
export class Findings {
  readonly #lossy = new Map<string, Lossy>();
  readonly #violations = new Map<string, Violation>();
  readonly #nulls = new Map<string, NullValues>();

  lost(column: string, loss: Loss, sample: Lossy['samples'][number]): void {
    const entry = entryOf(this.#lossy, `${column} ${loss}`, () => ({ column, loss, rows: 0, samples: [] }));
    entry.rows += 1;
    if (entry.samples.length < SAMPLES) entry.samples.push(sample);
  }

  violated(kind: Violation['kind'], constraint: string, key: Key): void {
    const entry = entryOf(this.#violations, `${kind} ${constraint}`, () => ({
      constraint,
      kind,
      rows: 0,
      keys: [],
    }));
    count(entry, key);
  }

  nulled(column: string, key: Key): void {
    count(
      entryOf(this.#nulls, column, () => ({ column, rows: 0, keys: [] })),
      key,
    );
  }

  report(): { lossy: Lossy[]; violations: Violation[]; nulls: NullValues[] } {
    return {
      lossy: [...this.#lossy.values()],
      violations: [...this.#violations.values()],
      nulls: [...this.#nulls.values()],
    };
  }
}

function entryOf<T>(entries: Map<string, T>, id: string, make: () => T): T {
  const entry = entries.get(id) ?? make();
  entries.set(id, entry);
  return entry;
}

function count(entry: { rows: number; keys: Key[] }, key: Key): void {
  entry.rows += 1;
  if (entry.keys.length < SAMPLES) entry.keys.push(key);
}
