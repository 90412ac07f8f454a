import { lex } from '../../../domain/sql-lexer.ts';
import type { Session } from '../../target.ts';
import { bindNamedParameters } from '../named-parameters.ts';
import { planFreely } from './plan-choice.ts';
import type { BackfillTable, Key } from './table.ts';

/**
 * Runs the plan's own undo statement over these keys, bound as `:keys`, an array of the key column's type.
 * @throws Error when the key has more than one column, or the statement names an unknown parameter.
 */
export async function undoByStatement(
  session: Session,
  table: BackfillTable,
  statement: string,
  keys: readonly Key[],
): Promise<void> {
  const { text, values } = undoStatement(table, statement, keys);
  await planFreely(session, () => session.query(text, values));
}

/** The statement with its parameter typed. */
export function undoStatement(
  table: BackfillTable,
  statement: string,
  keys: readonly Key[],
): { text: string; values: unknown[] } {
  const [column, ...others] = table.key;
  if (column === undefined || others.length > 0) {
    throw new Error(
      `an undo statement takes keys of one column; the key of ${table.qualifiedName} has ${table.key.length}`,
    );
  }
  const bound = bindNamedParameters(statement, { keys: keys.map((key) => key[0]) });
  return { text: typed(bound.text, column.castType), values: bound.values };
}

/** Casts the only placeholder there can be; a string that looks like it is left alone. */
function typed(text: string, castType: string): string {
  return lex(text)
    .map((segment) =>
      segment.kind === 'code'
        ? segment.text.replaceAll('$1', () => `($1::text[]::${castType}[])`)
        : segment.text,
    )
    .join('');
}
