import type { Session } from '../../target.ts';
import { checkedType } from '../backfill/check-values.ts';
import { withSavepoint } from '../backfill/savepoint.ts';
import type { BackfillColumn } from '../backfill/table.ts';
import { sqlState } from '../errors.ts';

/** A column with the way in which two of its values are compared. */
export type ComparedColumn = {
  column: BackfillColumn;
  /**
   * `value`: as the type's own equality has it, by which 1.5 is 1.50. `characters`: the same, but letters that a collation
   * takes for the same are not. `text`: as PostgreSQL prints them, where the type has no equality, or one that means less.
   */
  by: 'value' | 'characters' | 'text';
};

/** Finds out how values of these columns can be compared. */
export async function comparedColumns(
  session: Session,
  columns: readonly BackfillColumn[],
): Promise<ComparedColumn[]> {
  const compared: ComparedColumn[] = [];
  for (const column of columns) compared.push({ column, by: await comparison(session, column) });
  return compared;
}

async function comparison(
  session: Session,
  { castType, collatable }: BackfillColumn,
): Promise<ComparedColumn['by']> {
  // A month equals 30 days there.
  if (castType.startsWith('interval') || !(await hasEquality(session, castType))) return 'text';
  return collatable ? 'characters' : 'value';
}

const UNDEFINED_FUNCTION = '42883';

/** DISTINCT looks for an equality down to the elements of arrays and the fields of rows. */
async function hasEquality(session: Session, type: string): Promise<boolean> {
  try {
    await withSavepoint(session, () => session.query(`SELECT DISTINCT NULL::${type}`));
    return true;
  } catch (error) {
    if (sqlState(error) === UNDEFINED_FUNCTION) return false;
    throw error;
  }
}

/** Condition that the present value is another than the one that an assignment of the expression would leave. */
export function isDifferent({ column, by }: ComparedColumn, present: string, wanted: string): string {
  const [left, right] = [present, `${wanted}::${checkedType(column)}`];
  switch (by) {
    case 'value':
      return `${left} IS DISTINCT FROM ${right}`;
    case 'characters':
      return `${left} COLLATE "C" IS DISTINCT FROM ${right} COLLATE "C"`;
    case 'text':
      return `${left}::text IS DISTINCT FROM ${right}::text`;
  }
}
