import { decode } from '../../targets/postgres/backfill/decode.ts';
import type { TextRow } from '../../targets/postgres/backfill/read-range.ts';
import type { BackfillColumn, Key } from '../../targets/postgres/backfill/table.ts';
import { failed, type Transform, type TransformRow } from './definition.ts';
import { type DerivedOutcome, deriveOne } from './outcome.ts';

/** A row with what its transform decided. */
export type Derived = { key: Key; row: TransformRow; outcome: DerivedOutcome };

export type DeriveHooks = {
  /** Fetches what all rows need. */
  prefetch(rows: TransformRow[]): Promise<unknown>;
  /** Hears of each row's place before the transform gets it; may say why the row fails without. */
  before?: ((place: number) => string | undefined) | undefined;
  /** Called between rows; may take a rest, or throw to end it. */
  between?: (() => unknown) | undefined;
};

/** Runs the transform over the rows, on whichever thread this is. No row can fail the batch; a failing prefetch does. */
export async function deriveRows(
  transform: Transform,
  reads: readonly BackfillColumn[],
  written: readonly BackfillColumn[],
  rows: readonly TextRow[],
  hooks: DeriveHooks,
): Promise<Derived[]> {
  const decoded = rows.map((row) => decodeRow(reads, row));
  const lookups = transform.prefetch && (await hooks.prefetch(decoded));
  const derived: Derived[] = [];
  for (const [place, row] of decoded.entries()) {
    const key = rows[place]?.key ?? [];
    derived.push({ key, row, outcome: deriveAt(place, hooks, transform, row, lookups, written) });
    const rest = hooks.between?.();
    if (rest instanceof Promise) await rest;
  }
  return derived;
}

export function deriveAt(
  place: number,
  { before }: DeriveHooks,
  transform: Transform,
  row: TransformRow,
  lookups: unknown,
  written: readonly BackfillColumn[],
): DerivedOutcome {
  const fault = before?.(place);
  return fault === undefined ? deriveOne(transform, row, lookups, written) : failed(fault);
}

export function decodeRow(
  columns: readonly BackfillColumn[],
  { cells }: Pick<TextRow, 'cells'>,
): TransformRow {
  return Object.fromEntries(columns.map((column, i) => [column.name, decode(column, cells[i] ?? null)]));
}
