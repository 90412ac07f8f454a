import type { RowValue } from '../../targets/postgres/backfill/decode.ts';
import {
  type BatchText,
  cellsOf,
  decoderOf,
  keyDecoderOf,
} from '../../targets/postgres/backfill/read-batch.ts';
import type { BackfillColumn, Key } from '../../targets/postgres/backfill/table.ts';
import { TextArray } from '../../targets/postgres/backfill/text-array.ts';
import type { RowVersions } from '../../targets/postgres/backfill/write-batch.ts';
import type { Transform, TransformRow } from './definition.ts';
import { type Derived, type DeriveHooks, deriveAt } from './derive-rows.ts';

/** How the rows of a batch are made up. */
export type BatchShape = {
  key: readonly BackfillColumn[];
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

/** Runs the transform over the rows of a batch. No row can fail it; a failing prefetch does. */
export async function deriveBatch(
  transform: Transform,
  shape: BatchShape,
  text: BatchText,
  hooks: DeriveHooks,
): Promise<DerivedBatch> {
  const rows = new BatchRows(shape, text);
  const batch = new BatchBuilder(shape.key.length);
  const lookups =
    transform.prefetch &&
    (await hooks.prefetch(Array.from({ length: rows.count }, (_, place) => rows.row(place))));
  for (let place = 0; place < rows.count; place += 1) {
    const row = rows.row(place);
    batch.add(rows.identity(place), row, deriveAt(place, hooks, transform, row, lookups, shape.written));
    const rest = hooks.between?.();
    if (rest instanceof Promise) await rest;
  }
  return batch.finish();
}

/** A row's key and version, as texts. */
type Identity = readonly string[];

class BatchRows {
  readonly count: number;
  readonly #identities: { cells: string[]; textOf: (cell: string) => string }[];
  readonly #reads: { name: string; cells: string[]; decoded: (cell: string) => RowValue }[];

  constructor({ key, reads }: BatchShape, { columns, count }: BatchText) {
    this.count = count;
    const cellsAt = (i: number) => cellsOf({ columns, count }, i);
    const version = { cells: cellsAt(key.length), textOf: (cell: string) => cell };
    this.#identities = [
      ...key.map((column, i) => ({ cells: cellsAt(i), textOf: keyDecoderOf(column) })),
      version,
    ];
    this.#reads = reads.map((column, i) => ({
      name: column.name,
      cells: cellsAt(key.length + 1 + i),
      decoded: decoderOf(column),
    }));
  }

  identity(place: number): Identity {
    return this.#identities.map(({ cells, textOf }) => textOf(cells[place] ?? ''));
  }

  row(place: number): TransformRow {
    const row: TransformRow = {};
    for (const { name, cells, decoded } of this.#reads) row[name] = decoded(cells[place] ?? '');
    return row;
  }
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

  add(identity: Identity, row: TransformRow, outcome: Derived['outcome']): void {
    if (outcome.outcome === 'migrated') {
      this.#groupOf(outcome.columns).add(identity, outcome.values);
      return;
    }
    if (outcome.outcome !== 'skipped') {
      const key: Key = identity.slice(0, this.#keys);
      this.#setAside.push({ place: this.#unwritten.count, key, row, outcome });
    }
    this.#unwritten.add(identity);
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

  add(identity: Identity): void {
    for (const [i, array] of this.#keys.entries()) array.add(identity[i] ?? '');
    this.#versions.add(identity[this.#keys.length] ?? '');
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

  add(identity: Identity, values: readonly (string | null)[]): void {
    this.#rows.add(identity);
    for (const [i, array] of this.#values.entries()) array.add(values[i] ?? null);
  }

  finish(): WriteGroup {
    return {
      columns: this.columns,
      rows: { ...this.#rows.finish(), values: this.#values.map((array) => array.finish()) },
    };
  }
}
