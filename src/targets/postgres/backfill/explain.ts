import { quoteIdentifier } from '../catalog.ts';
import { conflictClause, expressions, type Insertion, writtenNames } from './insertion.ts';
import { parenthesised } from './sql.ts';
import { type BackfillColumn, type BackfillTable, withStandIns } from './table.ts';

type Statement = { text: string; values: readonly unknown[] };

/** Plans the plan's condition without running it. */
export function explainCondition(table: BackfillTable, where: string): Statement {
  return { text: `EXPLAIN SELECT FROM ${withStandIns(table)} WHERE ${parenthesised(where)}`, values: [] };
}

/** Plans an expression over columns of which some do not exist yet. */
export function explainExpression(
  table: BackfillTable,
  column: BackfillColumn,
  expression: string,
): Statement {
  const text = `EXPLAIN SELECT ${parenthesised(expression)}::${column.type} FROM ${withStandIns(table)}`;
  return { text, values: [] };
}

/** Plans the assignment of an expression to its column. */
export function explainUpdate(table: BackfillTable, column: BackfillColumn, expression: string): Statement {
  const assignment = `${quoteIdentifier(column.name)} = ${parenthesised(expression)}`;
  return { text: `EXPLAIN UPDATE ${table.qualifiedName} SET ${assignment}`, values: [] };
}

/** Plans the insertion of an expression's values into a column of another table. */
export function explainInsert(
  table: BackfillTable,
  into: BackfillTable,
  column: BackfillColumn,
  expression: string,
): Statement {
  const text = `EXPLAIN INSERT INTO ${into.qualifiedName} (${quoteIdentifier(column.name)})
    SELECT ${parenthesised(expression)} FROM ${withStandIns(table)}`;
  return { text, values: [] };
}

/** Plans the insertion of whole rows, where there may be some already. */
export function explainUpsert(table: BackfillTable, insertion: Insertion): Statement {
  const text = `EXPLAIN INSERT INTO ${insertion.into.qualifiedName} (${writtenNames(insertion)})
    SELECT ${expressions(insertion)} FROM ${withStandIns(table)} ${conflictClause(insertion)}`;
  return { text, values: [] };
}
