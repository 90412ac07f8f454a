import { quoteIdentifier } from '../catalog.ts';

/** How a column's text is read and written; `other` passes as text. */
export type ColumnKind =
  | 'json'
  | 'integer'
  | 'boolean'
  | 'timestamptz'
  | 'timestamp'
  | 'array'
  | 'bytea'
  | 'other';

export type BackfillColumn = {
  name: string;
  /** As declared: `numeric(10,2)`. */
  type: string;
  /** Base type without length or precision: a cast to `varchar(5)` would cut a value that an assignment refuses. */
  castType: string;
  kind: ColumnKind;
  nullable: boolean;
  /** Generated from others or by identity; cannot be written. */
  generated: boolean;
  /** Characters that fit, for `varchar(n)` and `char(n)`. */
  maxLength: number | null;
  /** The table does not have it yet: an earlier phase of the plan will add it. */
  missing: boolean;
};

/** The table of a backfill, ready to be named in statements. */
export type BackfillTable = {
  qualifiedName: string;
  /** Quoted name without schema, by which statements and the plan's expressions refer to the table. */
  alias: string;
  key: BackfillColumn[];
  columns: ReadonlyMap<string, BackfillColumn>;
  /** A trigger, policy or rule may leave a row unwritten without an error. */
  mayRefuseWrites: boolean;
};

/** A value per key column, as text that casts back to exactly the same value. */
export type Key = string[];

/** `alias."column"`. */
export function ref(table: BackfillTable, column: BackfillColumn): string {
  return `${table.alias}.${quoteIdentifier(column.name)}`;
}

/** The table as a FROM item with a typed NULL for each column that does not exist yet. */
export function withStandIns(table: BackfillTable): string {
  const missing = [...table.columns.values()].filter((column) => column.missing);
  if (missing.length === 0) return table.qualifiedName;
  const nulls = missing.map((column) => `NULL::${column.type} AS ${quoteIdentifier(column.name)}`);
  return `(SELECT ${table.alias}.*, ${nulls.join(', ')} FROM ${table.qualifiedName}) AS ${table.alias}`;
}

/** The columns as one `text[]`. */
export function asTextArray(table: BackfillTable, columns: readonly BackfillColumn[]): string {
  return `ARRAY[${columns.map((column) => `${ref(table, column)}::text`).join(', ')}]::text[]`;
}

/** A digest of the columns' present values, to tell later whether somebody changed them. */
export function digest(table: BackfillTable, columns: readonly BackfillColumn[]): string {
  return `sha256(convert_to(${asTextArray(table, columns)}::text, 'UTF8'))`;
}
