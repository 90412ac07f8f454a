import type { Session, TableShape } from '../../target.ts';
import { describeTable } from '../catalog.ts';
import { readAlias, readColumns, readWriting } from './read-columns.ts';
import type { BackfillColumn, BackfillTable } from './table.ts';

/** What a backfill says about the table it works on. */
export type TableUse = {
  table: string;
  key?: readonly string[] | undefined;
  /** SQL types of columns that an earlier phase adds. */
  columns: Record<string, string>;
};

/**
 * Looks the table up for a backfill.
 * @throws Error when there is no such table, or nothing to tell its rows apart by.
 */
export async function loadTable(session: Session, use: TableUse): Promise<BackfillTable> {
  const shape = await describeTable(session, use.table);
  if (!shape) throw new Error(`there is no table ${use.table} in the target; check its name and schema`);
  return tableOf(session, shape, use);
}

/** As {@link loadTable}, for a table that was already described. */
export async function tableOf(session: Session, shape: TableShape, use: TableUse): Promise<BackfillTable> {
  const { qualifiedName } = shape;
  const list = await readColumns(session, qualifiedName, use.columns);
  const columns = new Map(list.map((column) => [column.name, column]));
  const names = use.key ?? shape.key;
  if (names.length === 0) {
    throw new Error(
      `the table ${qualifiedName} has no primary key; add one, or name a unique \`key\` in the plan`,
    );
  }
  return {
    qualifiedName,
    alias: await readAlias(session, qualifiedName),
    key: names.map((name) => columnNamed(columns, name, qualifiedName)),
    columns,
    ...(await readWriting(session, qualifiedName)),
  };
}

/** A table that an earlier phase will create, with what is known of its columns. */
export async function standInTable(
  session: Session,
  { table, key, columns: types }: TableUse & { key: readonly string[] },
): Promise<BackfillTable> {
  const list = await readColumns(session, table, types);
  const columns = new Map(list.map((column) => [column.name, column]));
  return {
    qualifiedName: table,
    alias: 'cutover_planned',
    key: key.map((name) => columnNamed(columns, name, table)),
    columns,
    mayRefuseWrites: false,
    returnsOld: false,
  };
}

/** @throws Error when the table has no such column, and the plan does not say that it will. */
export function columnNamed(
  columns: ReadonlyMap<string, BackfillColumn>,
  name: string,
  qualifiedName: string,
): BackfillColumn {
  const column = columns.get(name);
  if (!column) throw new Error(`the table ${qualifiedName} has no column "${name}"`);
  return column;
}
