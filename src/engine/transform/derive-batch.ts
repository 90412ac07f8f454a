import { decodeCell, type RowValue } from '../../targets/postgres/backfill/decode.ts';
import { rowsOf } from '../../targets/postgres/backfill/read-batch.ts';
import type { BackfillColumn, Key } from '../../targets/postgres/backfill/table.ts';
import { TextArray } from '../../targets/postgres/backfill/text-array.ts';
import type { RowVersions } from '../../targets/postgres/backfill/write-batch.ts';
import type { Transform, TransformRow } from './definition.ts';
import { type Derived, type DeriveHooks, deriveAt } from './derive-rows.ts';

/** How the rows of a batch's text are made up. */
export type BatchShape = {
  /** Number of the key's columns. */
  keys: number;
  reads: readonly BackfillColumn[];
  written: readonly BackfillColumn[];
};

/** What a transform made of a batch, ready to be sent to the database. */
export type DerivedBatch = {
  /** Rows that are to be written, by the columns that they write. */
  groups: WriteGroup[];
  /** All other rows. */
  unwritten: RowVersions;
  /** Those of them that a person has to look at, with their places among them. */
  setAside: (Derived & { place: number })[];
};

export type WriteGroup = { columns: readonly BackfillColumn[]; rows: RowVersions & { values: Uint8Array[] } };

/** Runs the transform over the rows of a text as `readBatch` gives it. No row can fail the batch; a failing prefetch does. */
export async function deriveBatch(
  transform: Transform,
  { keys, reads, written }: BatchShape,
  text: string,
  hooks: DeriveHooks,
): Promise<DerivedBatch> {
  const rows = rowsOf(text);
  const batch = new BatchBuilder(keys);
  const lookups =
    transform.prefetch && (await hooks.prefetch(rows.map((row) => decodeRow(reads, parse(row), keys))));
  for (const [place, json] of rows.entries()) {
    const cells = parse(json);
    const row = decodeRow(reads, cells, keys);
    batch.add(cells, row, deriveAt(place, hooks, transform, row, lookups, written));
    const rest = hooks.between?.();
    if (rest instanceof Promise) await rest;
  }
  return batch.finish();
}

function parse(row: string): RowValue[] {
  return JSON.parse(row) as RowValue[];
}

/** The columns come after the key's values and the version. */
function decodeRow(reads: readonly BackfillColumn[], cells: readonly RowValue[], keys: number): TransformRow {
  const row: TransformRow = {};
  let at = keys;
  for (const column of reads) {
    at += 1;
    row[column.name] = decodeCell(column, cells[at] ?? null);
  }
  return row;
}

/** Sorts rows by what becomes of them, and encodes them for the database on the way. */
class BatchBuilder {
  readonly #keys: number;
  readonly #groups = new Map<string, GroupBuilder>();
  /** Rows mostly write the very same columns as the one before. */
  #last: GroupBuilder | undefined;
  readonly #unwritten: RowsBuilder;
  readonly #setAside: (Derived & { place: number })[] = [];

  constructor(keys: number) {
    this.#keys = keys;
    this.#unwritten = new RowsBuilder(keys);
  }

  add(cells: readonly RowValue[], row: TransformRow, outcome: Derived['outcome']): void {
    if (outcome.outcome === 'migrated') {
      this.#groupOf(outcome.columns).add(cells, outcome.values);
      return;
    }
    if (outcome.outcome !== 'skipped') {
      const key = cells.slice(0, this.#keys) as Key;
      this.#setAside.push({ place: this.#unwritten.count, key, row, outcome });
    }
    this.#unwritten.add(cells);
  }

  finish(): DerivedBatch {
    return {
      groups: [...this.#groups.values()].map((group) => group.finish()),
      unwritten: this.#unwritten.finish(),
      setAside: this.#setAside,
    };
  }

  #groupOf(columns: readonly BackfillColumn[]): GroupBuilder {
    if (this.#last?.columns === columns) return this.#last;
    const id = JSON.stringify(columns.map((column) => column.name));
    this.#last = this.#groups.get(id) ?? new GroupBuilder(this.#keys, columns);
    this.#groups.set(id, this.#last);
    return this.#last;
  }
}

class RowsBuilder {
  readonly #keys: TextArray[];
  readonly #versions = new TextArray();

  constructor(keys: number) {
    this.#keys = Array.from({ length: keys }, () => new TextArray());
  }

  get count(): number {
    return this.#versions.length;
  }

  add(cells: readonly RowValue[]): void {
    for (const [i, array] of this.#keys.entries()) array.add(cells[i] as string);
    this.#versions.add(cells[this.#keys.length] as string);
  }

  finish(): RowVersions {
    return {
      count: this.count,
      keys: this.#keys.map((array) => array.finish()),
      versions: this.#versions.finish(),
    };
  }
}

class GroupBuilder {
  readonly columns: readonly BackfillColumn[];
  readonly #rows: RowsBuilder;
  readonly #values: TextArray[];

  constructor(keys: number, columns: readonly BackfillColumn[]) {
    this.columns = columns;
    this.#rows = new RowsBuilder(keys);
    this.#values = columns.map(() => new TextArray());
  }

  add(cells: readonly RowValue[], values: readonly (string | null)[]): void {
    this.#rows.add(cells);
    for (const [i, array] of this.#values.entries()) array.add(values[i] ?? null);
  }

  finish(): WriteGroup {
    return {
      columns: this.columns,
      rows: { ...this.#rows.finish(), values: this.#values.map((array) => array.finish()) },
    };
  }
}
