import type { Session } from '../../target.ts';
import { Params } from './sql.ts';
import type { BackfillColumn } from './table.ts';

/** Type whose cast refuses what an assignment would refuse; a cast to `varchar(5)` would cut instead. */
export function checkedType(column: BackfillColumn): string {
  return column.maxLength === null ? column.type : column.castType;
}

/** Casts the values to the columns' types and throws them away. @throws the server's error when one does not cast. */
export async function checkValues(
  session: Session,
  columns: readonly BackfillColumn[],
  rows: readonly (string | null)[][],
): Promise<void> {
  const params = new Params();
  const arrays = columns.map((_, i) => `${params.add(rows.map((row) => row[i] ?? null))}::text[]`);
  await session.query(
    `SELECT ${columns.map((column, i) => `count(v${i}::${checkedType(column)})`).join(', ')}
       FROM unnest(${arrays.join(', ')}) AS given(${columns.map((_, i) => `v${i}`).join(', ')})`,
    params.values,
  );
}

/** What an assignment refuses and a cast does not, in words; undefined when the value fits. */
export function misfit(column: BackfillColumn, text: string | null): string | undefined {
  if (text === null) {
    return column.nullable ? undefined : `null value in column "${column.name}", which is NOT NULL`;
  }
  if (column.maxLength === null) return undefined;
  const length = [...text.replace(/ +$/, '')].length;
  if (length <= column.maxLength) return undefined;
  return `value too long for column "${column.name}" of type ${column.type}: ${length} characters`;
}
