import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import { keyEquals } from '../../targets/postgres/backfill/key-range.ts';
import { parenthesised } from '../../targets/postgres/backfill/sql.ts';
import { type Key, ref } from '../../targets/postgres/backfill/table.ts';
import { quoteIdentifier } from '../../targets/postgres/catalog.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { REDACTED } from './redact.ts';
import type { EncodedValues } from './values.ts';

/** A statement with its positional parameters, as text. */
type Statement = { statement: string; parameters: (string | null)[] };

/** Longer parameters are shown by their beginning. */
const LONGEST_PARAMETER = 10_000;

/**
 * What the database was to do to the row when it refused, for this row alone: whoever runs it, in a transaction that is
 * rolled back, sees it fail again. Undefined when it was not the database that refused. Redacted values are left out.
 */
export function failedStatement(
  context: BatchContext,
  { key, kind, sqlstate, attempted }: RowException,
): Statement | undefined {
  if (kind !== 'failed') return undefined;
  const { transform } = context.phase;
  switch (transform.kind) {
    case 'sql':
      return updateByExpressions(context, transform.set, key);
    case 'insert':
      return insertByExpressions(context, transform, key);
    case 'registered':
      if (attempted) return updateByValues(context, attempted, key);
      return sqlstate === undefined ? undefined : readRow(context, key);
  }
}

function updateByExpressions(context: BatchContext, set: Record<string, string>, key: Key): Statement {
  const assignments = Object.entries(set).map(
    ([column, expression]) => `${quoteIdentifier(column)} = ${parenthesised(expression)}`,
  );
  const { table } = context;
  return {
    statement: `UPDATE ${table.qualifiedName} SET ${assignments.join(', ')} WHERE ${itsRow(context)}`,
    parameters: key,
  };
}

function insertByExpressions(
  context: BatchContext,
  { into, values }: { into: string; values: Record<string, string> },
  key: Key,
): Statement {
  const columns = Object.keys(values).map(quoteIdentifier).join(', ');
  const expressions = Object.values(values).map(parenthesised).join(', ');
  return {
    statement: `INSERT INTO ${into} (${columns}) SELECT ${expressions} FROM ${context.table.qualifiedName} WHERE ${itsRow(context)}`,
    parameters: key,
  };
}

function updateByValues(context: BatchContext, values: EncodedValues, key: Key): Statement {
  const { phase, table } = context;
  const columns = [...table.columns.values()].filter(({ name }) => name in values);
  const assignments = columns.map(
    ({ name, castType }, i) => `${quoteIdentifier(name)} = $${key.length + i + 1}::text::${castType}`,
  );
  return {
    statement: `UPDATE ${table.qualifiedName} SET ${assignments.join(', ')} WHERE ${itsKey(context)}`,
    parameters: [...key, ...columns.map(({ name }) => shown(name, values[name] ?? null, phase.redact))],
  };
}

function readRow(context: BatchContext, key: Key): Statement {
  const { table, transform } = context;
  const read = [...table.columns.values()].filter(({ name }) => transform?.reads.includes(name));
  const columns = read.map((column) => ref(table, column)).join(', ');
  return {
    statement: `SELECT ${columns} FROM ${table.qualifiedName} WHERE ${itsRow(context)}`,
    parameters: key,
  };
}

function shown(column: string, value: string | null, redact: readonly string[]): string | null {
  if (value === null) return null;
  if (redact.includes(column)) return REDACTED;
  const rest = value.length - LONGEST_PARAMETER;
  return rest > 0 ? `${value.slice(0, LONGEST_PARAMETER)}… (${rest} more characters)` : value;
}

function itsRow(context: BatchContext): string {
  const { where } = context;
  return `${itsKey(context)}${where === undefined ? '' : ` AND ${parenthesised(where)}`}`;
}

function itsKey({ table }: BatchContext): string {
  return keyEquals(table, (i) => `$${i + 1}::text`);
}
