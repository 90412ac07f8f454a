import { Unencodable } from '../../targets/postgres/backfill/encode.ts';
import type { BackfillColumn } from '../../targets/postgres/backfill/table.ts';
import type { Row } from '../../targets/target.ts';
import { encodeForColumn } from '../transform/outcome.ts';

/** Values by column as text that casts to the columns' types. */
export type EncodedValues = Record<string, string | null>;

/**
 * What a suggestion would write, by column: it is an object of columns that the transform writes, or the value of the only
 * one. Undefined when it is neither.
 */
export function suggestedValues(suggestion: unknown, written: readonly BackfillColumn[]): Row | undefined {
  if (suggestion === undefined || suggestion === null) return undefined;
  const names = written.map(({ name }) => name);
  if (typeof suggestion === 'object' && !Array.isArray(suggestion)) {
    const given = Object.keys(suggestion);
    if (given.length > 0 && given.every((name) => names.includes(name))) return suggestion as Row;
  }
  const [only, ...others] = names;
  return only !== undefined && others.length === 0 ? { [only]: suggestion } : undefined;
}

/** What accepting the suggestion writes; undefined when it is not clear which columns are meant, or they cannot hold it. */
export function proposalOf(
  suggestion: unknown,
  written: readonly BackfillColumn[],
): EncodedValues | undefined {
  const values = suggestedValues(suggestion, written);
  if (!values) return undefined;
  try {
    return encodeValues(values, written);
  } catch (error) {
    if (error instanceof Unencodable) return undefined;
    throw error;
  }
}

/** @throws Unencodable, which names the column. */
export function encodeValues(values: Row, written: readonly BackfillColumn[]): EncodedValues {
  return Object.fromEntries(
    written
      .filter(({ name }) => values[name] !== undefined)
      .map((column) => [column.name, encodeForColumn(column, values[column.name])]),
  );
}
