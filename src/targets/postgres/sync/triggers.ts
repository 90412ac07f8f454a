import { WRITER_SETTING, writerName } from '../backfill/pin-session.ts';
import type { BackfillColumn } from '../backfill/table.ts';
import { quoteIdentifier, quoteLiteral } from '../catalog.ts';
import type { SyncDefinition } from './definition.ts';
import type { SyncNames } from './names.ts';

/** A trigger by its name, and the statement that creates it. */
export type Trigger = { name: string; create: string };

/** The triggers of a sync. They leave alone what its own backfill writes, but not what other triggers write because of that. */
export function triggersOf(definition: SyncDefinition, names: SyncNames): Trigger[] {
  const { table, work, writer } = definition;
  const setting = `current_setting('${WRITER_SETTING}', true)`;
  const notOwn = `(${setting} IS DISTINCT FROM ${quoteLiteral(writerName(writer))} OR pg_trigger_depth() > 0)`;
  const trigger = (what: string, when: string, onlyIf = ''): Trigger => {
    const name = names.trigger(what);
    return {
      name,
      create:
        `CREATE TRIGGER ${quoteIdentifier(name)} ${when} ON ${table.qualifiedName} FOR EACH ROW ` +
        `WHEN (${notOwn}${onlyIf}) EXECUTE FUNCTION ${names.function}()`,
    };
  };
  switch (work.kind) {
    case 'set':
      return [trigger('set', 'BEFORE INSERT OR UPDATE')];
    case 'copy':
      return [trigger('copy', `AFTER INSERT OR UPDATE${work.mirrors ? ' OR DELETE' : ''}`)];
    case 'capture':
      return [
        trigger('add', `AFTER INSERT${work.deletes ? ' OR DELETE' : ''}`),
        trigger('change', 'AFTER UPDATE', ` AND ${hasChanged(work.changes)}`),
      ];
  }
}

/** Compares stored values byte by byte, since not every type can be compared otherwise. */
function hasChanged(columns: readonly BackfillColumn[]): string {
  const row = (version: string) =>
    `ROW(${columns.map(({ name }) => `${version}.${quoteIdentifier(name)}`).join(', ')})::record`;
  return `${row('OLD')} *<> ${row('NEW')}`;
}
