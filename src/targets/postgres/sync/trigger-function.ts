import { PINNED_SETTINGS } from '../backfill/pin-session.ts';
import { parenthesised } from '../backfill/sql.ts';
import type { BackfillTable } from '../backfill/table.ts';
import { quoteIdentifier, quoteLiteral } from '../catalog.ts';
import type { CopyWork, SyncDefinition, SyncWork } from './definition.ts';

/**
 * The function that a sync's triggers call. It runs with the rights of the target's role, so that the application's role
 * needs none for what it does, and with settings of its own, so that expressions mean the same as in a backfill.
 *
 * Expressions read the row from `unnest(ARRAY[NEW])` under the table's name: there `NEW` is a row like any other, which the
 * planner does not look into. Read as constants, `CASE WHEN … THEN old::int END` would fail while it is planned.
 *
 * @param searchPath schemas as SET takes them, those in which a backfill looks up names.
 */
export function createFunction(definition: SyncDefinition, name: string, searchPath: string): string {
  const settings = { search_path: `${searchPath}, pg_temp`, ...PINNED_SETTINGS };
  const set = Object.entries(settings).map(([setting, value]) => `SET ${setting} = ${value}`);
  return `CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER ${set.join(' ')}
    AS ${quoteLiteral(bodyOf(definition))}`;
}

function bodyOf(definition: SyncDefinition): string {
  const { work } = definition;
  switch (work.kind) {
    case 'set':
      return setBody(definition, work);
    case 'copy':
      return copyBody(definition, work);
    case 'capture':
      return captureBody(definition, work.deletes);
  }
}

/** What fails must not make the application's write fail: the row stays as the application wrote it, and its key is noted. */
function setBody(definition: SyncDefinition, work: Extract<SyncWork, { kind: 'set' }>): string {
  const { table } = definition;
  const set = Object.entries(work.set);
  const expressions = set.map(([, expression], i) => `${parenthesised(expression)} AS v${i}`);
  const assignments = set.map(([column], i) => `NEW.${quoteIdentifier(column)} := cutover_derived.v${i};`);
  const violated = work.violations.map(parenthesised).join(' OR ');
  const check = `
      PERFORM FROM ${rowOf('NEW', table)} WHERE ${violated};
      IF FOUND THEN RAISE check_violation; END IF;`;
  return `
#variable_conflict use_column
DECLARE
  cutover_given record;
  cutover_derived record;
BEGIN
  cutover_given := NEW;
  BEGIN
    SELECT ${expressions.join(', ')} INTO cutover_derived
      FROM ${rowOf('NEW', table)}${condition(work.where)};
    IF FOUND THEN
      ${assignments.join(' ')}${violated === '' ? '' : check}
    END IF;
  EXCEPTION WHEN OTHERS THEN
    ${noteSafely(definition, 'NEW')}
    RETURN cutover_given;
  END;
  RETURN NEW;
END`;
}

function copyBody(definition: SyncDefinition, work: Extract<SyncWork, { kind: 'copy' }>): string {
  const { table } = definition;
  const columns = Object.keys(work.values).map(quoteIdentifier);
  const expressions = Object.values(work.values).map(parenthesised);
  const copy = `
      INSERT INTO ${work.into} (${columns.join(', ')})
      SELECT ${expressions.join(', ')} FROM ${rowOf('NEW', table)}${condition(work.where)}
      ON CONFLICT (${work.identifiedBy.map(quoteIdentifier).join(', ')}) ${onConflict(work)};`;
  const note = { gone: noteSafely(definition, 'OLD'), there: noteSafely(definition, 'NEW') };
  return `
#variable_conflict use_column
BEGIN
  BEGIN
    ${work.mirrors ? `IF ${isGone(table)} THEN ${deleteCopy(table, work)} END IF;` : ''}
    IF TG_OP <> 'DELETE' THEN${copy}
    END IF;
  EXCEPTION WHEN OTHERS THEN
    ${work.mirrors ? `IF ${isGone(table)} THEN ${note.gone} END IF;` : ''}
    IF TG_OP <> 'DELETE' THEN ${note.there} END IF;
  END;
  RETURN NULL;
END`;
}

function onConflict({ values, identifiedBy, onConflict }: CopyWork): string {
  const others = Object.keys(values).filter((column) => !identifiedBy.includes(column));
  if (onConflict === 'nothing' || others.length === 0) return 'DO NOTHING';
  const assignments = others.map(
    (column) => `${quoteIdentifier(column)} = excluded.${quoteIdentifier(column)}`,
  );
  return `DO UPDATE SET ${assignments.join(', ')}`;
}

/** There is no row of the old key any more. */
function isGone(table: BackfillTable): string {
  return `TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND ${keyChanged(table)})`;
}

function deleteCopy(table: BackfillTable, { into, values, identifiedBy }: CopyWork): string {
  const identity = identifiedBy.map((column, i) => `${parenthesised(values[column] ?? 'NULL')} AS v${i}`);
  const same = identifiedBy.map(
    (column, i) => `cutover_copy.${quoteIdentifier(column)} = cutover_gone.v${i}`,
  );
  return `
      DELETE FROM ${into} AS cutover_copy
       USING (SELECT ${identity.join(', ')} FROM ${rowOf('OLD', table)}) AS cutover_gone
       WHERE ${same.join(' AND ')};`;
}

function captureBody(definition: SyncDefinition, deletes: boolean): string {
  const { table } = definition;
  const gone = `IF ${isGone(table)} THEN ${note(definition, 'OLD')} END IF;`;
  return `
BEGIN
  ${deletes ? gone : ''}
  IF TG_OP <> 'DELETE' THEN ${note(definition, 'NEW')} END IF;
  RETURN NULL;
END`;
}

function rowOf(row: 'NEW' | 'OLD', table: BackfillTable): string {
  return `unnest(ARRAY[${row}]) AS ${table.alias}`;
}

function condition(where: string | undefined): string {
  return where === undefined ? '' : ` WHERE ${parenthesised(where)}`;
}

function keyChanged({ key }: BackfillTable): string {
  const columns = (row: string) => key.map(({ name }) => `${row}.${quoteIdentifier(name)}`).join(', ');
  return `(${columns('OLD')}) IS DISTINCT FROM (${columns('NEW')})`;
}

function note({ id, runId, table }: SyncDefinition, row: 'NEW' | 'OLD'): string {
  const key = table.key.map(({ name }) => `${row}.${quoteIdentifier(name)}::text`);
  return `
    INSERT INTO cutover.captured (sync, run_id, key) VALUES (${id}, ${quoteLiteral(runId)}, ARRAY[${key.join(', ')}]);`;
}

/** Where even that fails, the row is found by the watch and by verification. */
function noteSafely(definition: SyncDefinition, row: 'NEW' | 'OLD'): string {
  return `BEGIN ${note(definition, row)} EXCEPTION WHEN OTHERS THEN NULL; END;`;
}
