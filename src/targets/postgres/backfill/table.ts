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
  /**
   * Type by which Cutover's own tables keep the column's values, to the last bit: its own without length or precision where
   * that is built in, else `text`, so that they depend on no type that the plan may want to drop.
   */
  storedType: string;
  /** Its values are compared under a collation. */
  collatable: boolean;
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
  /** The server's RETURNING knows a row's values from before the update: since version 18. */
  returnsOld: boolean;
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

/** A column's value, given by this SQL, as Cutover's own tables keep it. */
export function asStored(column: BackfillColumn, value: string): string {
  return `${value}::${column.storedType}`;
}

/** The columns as one `text[]`. */
export function asTextArray(table: BackfillTable, columns: readonly BackfillColumn[]): string {
  return `ARRAY[${columns.map((column) => `${ref(table, column)}::text`).join(', ')}]::text[]`;
}

/**
 * A digest of the columns' present values, to tell later whether somebody changed them: SHA-256 over their binary forms,
 * each with its length, so that two different rows have the same digest with a probability of 2^-256.
 */
export function digest(table: BackfillTable, columns: readonly BackfillColumn[]): string {
  return `sha256(record_send(ROW(${columns.map((column) => asStored(column, ref(table, column))).join(', ')})))`;
}
