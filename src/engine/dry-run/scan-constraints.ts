import { evaluateValues } from '../../targets/postgres/backfill/evaluate-values.ts';
import { loadRowConstraints, type RowConstraints } from '../../targets/postgres/backfill/row-constraints.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { BackfillTable } from '../../targets/postgres/backfill/table.ts';
import { describeSqlError } from '../../targets/postgres/errors.ts';
import type { Session } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { isRowError } from '../errors.ts';

/** How a context's rows are written, as far as their constraints have to do with it. */
export function writing({ insertion, where }: BatchContext) {
  // Copies that are there are not written anew before the row's own is.
  return { where: insertion ? 'false' : where, inserts: insertion !== undefined };
}

/**
 * The constraints of the table that rows are written to, as far as they can be computed over a row that is not there; of the
 * others a note says why.
 */
export async function computableConstraints(
  session: Session,
  context: BatchContext,
  table: BackfillTable,
): Promise<{ constraints: RowConstraints; notes: string[] }> {
  const names = context.written.map(({ name }) => name);
  const loaded = await loadRowConstraints(session, table.qualifiedName, names);
  const known = context.insertion ? ofColumns(loaded, names, table) : loaded;
  const notes: string[] = [];
  const canCompute = async (name: string, constraints: RowConstraints) => {
    try {
      await withSavepoint(session, () =>
        evaluateValues(session, table, {
          ...writing(context),
          columns: context.written,
          rows: [],
          constraints,
        }),
      );
      return true;
    } catch (error) {
      if (isRowError(error)) throw error;
      notes.push(
        `Whether rows violate "${name}" can only be found out by writing them: ${describeSqlError(error)}`,
      );
      return false;
    }
  };
  const constraints: RowConstraints = { conditions: [], uniques: [] };
  for (const condition of known.conditions) {
    const alone = { conditions: [condition], uniques: [] };
    if (await canCompute(condition.name, alone)) constraints.conditions.push(condition);
  }
  for (const unique of known.uniques) {
    const alone = { conditions: [], uniques: [unique] };
    if (await canCompute(unique.name, alone)) constraints.uniques.push(unique);
  }
  return { constraints, notes };
}

/** Of a row that is inserted only the values that the transform gives are known; its identity is looked after elsewhere. */
function ofColumns(
  { conditions, uniques }: RowConstraints,
  written: readonly string[],
  { key }: BackfillTable,
): RowConstraints {
  const isKnown = ({ columns }: { columns: string[] }) => columns.every((name) => written.includes(name));
  const identity = key.map(({ name }) => name);
  const isIdentity = ({ columns }: { columns: string[] }) =>
    columns.length === identity.length && columns.every((name) => identity.includes(name));
  return {
    conditions: conditions.filter(isKnown),
    uniques: uniques.filter((unique) => isKnown(unique) && !isIdentity(unique)),
  };
}
