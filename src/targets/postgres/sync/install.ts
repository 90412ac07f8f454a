import type { Session } from '../../target.ts';
import { quoteIdentifier, quoteLiteral } from '../catalog.ts';
import type { SyncDefinition } from './definition.ts';
import { readSearchPath } from './inspect.ts';
import { syncNames } from './names.ts';
import type { SyncRecord } from './records.ts';
import { createFunction } from './trigger-function.ts';
import { readTriggers, type TriggerState } from './trigger-state.ts';
import { triggersOf } from './triggers.ts';

/**
 * Puts the sync's triggers on the table, or in order those that are there. Writers of the table are kept off until the end
 * of the transaction, and none is under way: whatever they write from then on is seen.
 * @throws the server's error when the lock was not free within the session's lock_timeout.
 */
export async function installTriggers(
  session: Session,
  definition: SyncDefinition,
): Promise<Pick<SyncRecord, 'table' | 'triggers' | 'versions'>> {
  const { runId, phase, table } = definition;
  const names = syncNames(runId, phase);
  const triggers = triggersOf(definition, names);
  await session.query(createFunction(definition, names.function, await readSearchPath(session)));
  await session.query(`REVOKE ALL ON FUNCTION ${names.function}() FROM PUBLIC`);
  const comment = `Cutover: sync "${phase}" of run ${runId}. Removed by the run itself.`;
  await session.query(`COMMENT ON FUNCTION ${names.function}() IS ${quoteLiteral(comment)}`);

  await session.query(`LOCK TABLE ${table.qualifiedName} IN SHARE ROW EXCLUSIVE MODE`);
  const list = triggers.map(({ name }) => name);
  const before = await readTriggers(session, table.qualifiedName, list);
  for (const { name, create } of triggers) {
    if (isMissing(before, name)) await session.query(create);
  }
  for (const { relation, name } of before.filter(({ state }) => state === 'disabled')) {
    await session.query(`ALTER TABLE ONLY ${relation} ENABLE TRIGGER ${quoteIdentifier(name)}`);
  }
  return {
    table: table.qualifiedName,
    triggers: list,
    versions: versionsOf(await readTriggers(session, table.qualifiedName, list)),
  };
}

/**
 * Takes the sync's triggers away, from whatever tables they are on. Nobody reads or writes those tables until the end of the
 * transaction.
 * @throws the server's error when the lock was not free within the session's lock_timeout.
 */
export async function removeTriggers(session: Session, runId: string, phase: string): Promise<void> {
  await session.query(`DROP FUNCTION IF EXISTS ${syncNames(runId, phase).function}() CASCADE`);
}

/** Versions of the triggers on the table itself, in their order. */
export function versionsOf(triggers: readonly TriggerState[]): string[] {
  return triggers.filter(({ own }) => own).map(({ version }) => version ?? '');
}

function isMissing(triggers: readonly TriggerState[], name: string): boolean {
  return triggers.some((trigger) => trigger.own && trigger.name === name && trigger.state === 'missing');
}
