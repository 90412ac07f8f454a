import type { Session } from '../../target.ts';
import { keyEquals, keysAsRows } from '../backfill/key-range.ts';
import { Params, parenthesised } from '../backfill/sql.ts';
import type { BackfillTable, Key } from '../backfill/table.ts';
import { quoteIdentifier } from '../catalog.ts';
import type { CopyWork } from './definition.ts';

/** Deletes the copies of rows that are gone. @returns how many there were. */
export async function deleteCopies(
  session: Session,
  table: BackfillTable,
  work: CopyWork,
  keys: readonly Key[],
): Promise<number> {
  const params = new Params();
  const key = table.key.map(
    ({ name, castType }, i) => `asked.k${i}::${castType} AS ${quoteIdentifier(name)}`,
  );
  const identity = work.identifiedBy.map(
    (name, i) => `${parenthesised(work.values[name] ?? 'NULL')} AS v${i}`,
  );
  const same = work.identifiedBy.map(
    (name, i) => `cutover_copy.${quoteIdentifier(name)} = cutover_gone.v${i}`,
  );
  // A key may be spelt otherwise than its row spells it now: 1.0 and 1.00 are one number.
  const { rowCount } = await session.query(
    `DELETE FROM ${work.into} AS cutover_copy
      USING (SELECT ${identity.join(', ')}
               FROM ${keysAsRows(table, keys, 'asked', params)}
              CROSS JOIN LATERAL (SELECT ${key.join(', ')}) AS ${table.alias}
              WHERE NOT EXISTS (SELECT FROM ${table.qualifiedName} WHERE ${keyEquals(table, (i) => `asked.k${i}`)})
            ) AS cutover_gone
      WHERE ${same.join(' AND ')}`,
    params.values,
  );
  return rowCount;
}
