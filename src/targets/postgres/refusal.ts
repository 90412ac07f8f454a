import type pg from 'pg';
import { databaseError } from './errors.ts';

/**
 * What the server's refusal of a row says when values of some columns must not be shown.
 *
 * Values can be anywhere in the server's own words, which come in the language of its messages and, from triggers and
 * functions, in anybody's: `invalid input syntax for type integer: "…"`, `Failing row contains (…)`, `RAISE EXCEPTION '%'`.
 * So none of them is kept. What is said instead comes from the fields of the error that hold names, never values; the one
 * detail that is kept is that of a key, when PostgreSQL itself wrote it and none of the columns is among those.
 * @returns undefined when the error is none of the server's.
 */
export function describeRefusal(error: unknown, hidden: readonly string[]): string | undefined {
  const cause = databaseError(error);
  if (!cause) return undefined;
  const names = [
    cause.table && `table ${[cause.schema, cause.table].filter(Boolean).join('.')}`,
    cause.column && `column ${cause.column}`,
    cause.constraint && `constraint ${cause.constraint}`,
    cause.dataType && `type ${cause.dataType}`,
  ].filter(Boolean);
  const key = keyDetail(cause, hidden);
  return [
    `${conditionOf(cause.code ?? '')} (SQLSTATE ${[cause.code, ...names].join('; ')})`,
    ...(key ? [key] : []),
    'The server’s own words are left out, because the plan redacts columns of this table',
  ].join('. ');
}

/** Functions of the server that write `Key (columns)=(values)`. */
const KEY_WRITERS = new Set([
  '_bt_check_unique',
  'check_exclusion_or_unique_constraint',
  'ri_ReportViolation',
  'comparetup_index_btree_tiebreak',
]);

function keyDetail({ detail, routine }: pg.DatabaseError, hidden: readonly string[]): string | undefined {
  if (!routine || !KEY_WRITERS.has(routine)) return undefined;
  const [, columns, values] = /\(([^=]*)\)=\((.*)\)/s.exec(detail ?? '') ?? [];
  if (columns === undefined) return undefined;
  const shown = hidden.some((column) => columns.includes(column)) ? '[redacted]' : values;
  return `Key (${columns})=(${shown})`;
}

function conditionOf(sqlstate: string): string {
  return CONDITIONS[sqlstate] ?? CONDITIONS[sqlstate.slice(0, 2)] ?? 'the database refused the row';
}

/** The conditions of PostgreSQL that a row can cause; by their class where a row seldom does. */
const CONDITIONS: Record<string, string> = {
  '21': 'a subquery found more than one row',
  '22': 'the data is not as the statement needs it',
  '22001': 'a text is too long for its column',
  '22003': 'a number is out of the range of its type',
  '22007': 'a text is no date or time',
  '22008': 'a date or time is out of range',
  '22012': 'division by zero',
  '22021': 'a text has characters that the encoding lacks',
  '22P02': 'a text is no value of the type that it is cast to',
  '22P05': 'a text has characters that cannot be converted',
  '23': 'a constraint refuses the row',
  '23502': 'a column that is NOT NULL gets no value',
  '23503': 'a foreign key refuses the row',
  '23505': 'another row has the same unique key',
  '23514': 'a CHECK constraint refuses the row',
  '23P01': 'an exclusion constraint refuses the row',
  '44': 'the WITH CHECK OPTION of a view refuses the row',
  '54': 'a value is too large, for an index as a rule',
  P0: 'a trigger or function raised an error',
};
