import { expect, test } from 'vitest';
import { audit, listAudit } from '../../src/db/audit.ts';
import {
  discardDryRun,
  findDryRun,
  finishDryRun,
  openDryRun,
  storeDryRunPhase,
} from '../../src/db/dry-runs.ts';
import {
  allExceptions,
  findException,
  groupExceptions,
  listExceptions,
  type RunException,
  storeExceptions,
} from '../../src/db/exceptions.ts';
import { latestMeasurements, listMeasurements, recordMeasurement } from '../../src/db/gate-measurements.ts';
import { listLog, openLogEntry, recordLogEntry, updateLogEntry } from '../../src/db/migration-log.ts';
import { sortableKey } from '../../src/domain/key-order.ts';
import type { ExceptionFilter } from '../../src/domain/row-exception.ts';
import { uniqueName } from '../support/unique-name.ts';
import { useControlDatabase } from './control-database.ts';

const control = useControlDatabase();

let ids = 0;

function exception(runId: string, changes: Partial<RunException>) {
  const key = changes.key ?? '["1"]';
  ids += 1;
  return {
    runId,
    exceptionId: ids,
    phase: 'fill',
    key,
    sortKey: sortableKey(JSON.parse(key)),
    kind: 'ambiguous' as const,
    reason: 'why',
    suggestion: null,
    sqlstate: null,
    ...changes,
  };
}

test('exceptions are stored once, in any number', async () => {
  const runId = uniqueName('run');
  const rows = Array.from({ length: 12_000 }, (_, n) => exception(runId, { key: `["${n}"]` }));
  await storeExceptions(control.db, rows);
  await storeExceptions(control.db, rows.slice(0, 10));
  let total = 0;
  for await (const page of allExceptions(control.db, runId)) total += page.length;
  expect(total).toBe(12_000);
  await storeExceptions(control.db, []);
});

test('pages of exceptions hold each once, also those that share a key', async () => {
  const runId = uniqueName('run');
  const all = ['a', 'b', 'c'].flatMap((key) => [
    exception(runId, { key: `["${key}"]`, phase: 'one' }),
    exception(runId, { key: `["${key}"]`, phase: 'two' }),
    exception(runId, { key: `["${key}"]`, phase: 'two', kind: 'failed', sqlstate: '23505' }),
  ]);
  await storeExceptions(control.db, all);
  const seen: string[] = [];
  let after: RunException | undefined;
  for (;;) {
    const page = await listExceptions(control.db, runId, { after, limit: 2 });
    seen.push(...page.map(({ key, phase, kind }) => `${key} ${phase} ${kind}`));
    if (page.length < 2) break;
    after = page.at(-1);
  }
  expect(seen).toHaveLength(9);
  expect(new Set(seen).size).toBe(9);
  const failed = await listExceptions(control.db, runId, { kind: 'failed', limit: 10 });
  expect(failed.map(({ sqlstate }) => sqlstate)).toEqual(['23505', '23505', '23505']);
  expect(await listExceptions(control.db, runId, { phase: 'one', limit: 10 })).toHaveLength(3);
});

test('exceptions are listed in the order of their keys, numbers by size', async () => {
  const runId = uniqueName('run');
  const keys = [['10'], ['9'], ['-1'], ['100'], ['eu', '2'], ['eu', '10'], ['de', '3']];
  await storeExceptions(
    control.db,
    keys.map((key) => exception(runId, { key: JSON.stringify(key) })),
  );
  const listed = await listExceptions(control.db, runId, { limit: 10 });
  expect(listed.map(({ key }) => JSON.parse(key).join())).toEqual([
    ...['-1', '9', '10', '100', 'de,3', 'eu,2', 'eu,10'],
  ]);
});

test('a copy that comes late does not take a decision back', async () => {
  const runId = uniqueName('run');
  const first = exception(runId, { revision: 1 });
  const decided = {
    ...first,
    revision: 2,
    status: 'skipped' as const,
    note: 'a test row',
    decidedBy: 'olga',
  };
  await storeExceptions(control.db, [first]);
  await storeExceptions(control.db, [decided]);
  await storeExceptions(control.db, [first]);
  expect(await findException(control.db, runId, first.exceptionId)).toMatchObject({
    status: 'skipped',
    note: 'a test row',
    decidedBy: 'olga',
    revision: 2,
  });
});

test('exceptions are found by reason, part of a reason, SQLSTATE and status, and grouped by them', async () => {
  const runId = uniqueName('run');
  const alike = { reason: '2 shops match: 100 %', acceptable: true };
  await storeExceptions(control.db, [
    ...[1, 2, 3].map((n) => exception(runId, { key: `["${n}"]`, ...alike })),
    exception(runId, { key: '["4"]', ...alike, status: 'resolved' }),
    exception(runId, { key: '["5"]', kind: 'failed', reason: 'invalid', sqlstate: '22P02' }),
  ]);
  const found = async (filter: ExceptionFilter) =>
    (await listExceptions(control.db, runId, { ...filter, limit: 10 })).map(({ key }) => JSON.parse(key)[0]);
  expect(await found({ reason: '2 shops match: 100 %', status: 'open' })).toEqual(['1', '2', '3']);
  expect(await found({ reasonContains: '100 %' })).toEqual(['1', '2', '3', '4']);
  expect(await found({ reasonContains: '%match' })).toEqual([]);
  expect(await found({ sqlstate: '22P02' })).toEqual(['5']);
  expect(await groupExceptions(control.db, runId, { limit: 10 })).toEqual([
    {
      phase: 'fill',
      kind: 'ambiguous',
      status: 'open',
      sqlstate: null,
      reason: alike.reason,
      exceptions: 3,
      acceptable: 3,
    },
    {
      phase: 'fill',
      kind: 'ambiguous',
      status: 'resolved',
      sqlstate: null,
      reason: alike.reason,
      exceptions: 1,
      acceptable: 1,
    },
    {
      phase: 'fill',
      kind: 'failed',
      status: 'open',
      sqlstate: '22P02',
      reason: 'invalid',
      exceptions: 1,
      acceptable: 0,
    },
  ]);
});

test('a decision has a log entry of its own, however often it is recorded', async () => {
  const runId = uniqueName('run');
  const head = { planName: uniqueName('plan'), target: 'shop', tableName: 'items', performedBy: 'ana' };
  const key = { runId, phase: 'fill', action: 'resolve' as const };
  const entry = (migrated: number) => ({
    counts: { processed: migrated, migrated, skipped: 0, ambiguous: 0, failed: 0 },
    outcome: `${migrated} resolved`,
  });
  await openLogEntry(control.db, { runId, phase: 'fill', action: 'backfill' }, head);
  await recordLogEntry(control.db, { ...key, request: 'first' }, head, entry(2));
  await recordLogEntry(control.db, { ...key, request: 'first' }, head, entry(3));
  await recordLogEntry(control.db, { ...key, request: 'second' }, head, entry(5));
  expect(await listLog(control.db, { runId, limit: 10 })).toMatchObject([
    { action: 'resolve', succeeded: 5, outcome: '5 resolved' },
    { action: 'resolve', succeeded: 3, outcome: '3 resolved' },
    { action: 'backfill', outcome: null },
  ]);
});

test('a measurement is recorded once, and the latest of each gate is found', async () => {
  const runId = uniqueName('run');
  const measure = (gate: string, percentage: number, sequence: number, value: number | null) =>
    recordMeasurement(control.db, {
      runId,
      phase: 'rollout',
      percentage,
      gate,
      sequence,
      value,
      verdict: 'pass',
      reason: '',
    });
  await measure('errors', 10, 1, 0.5);
  await measure('errors', 10, 1, 99);
  await measure('errors', 10, 2, 0.6);
  await measure('latency', 10, 1, null);
  await measure('errors', 50, 1, 0.7);
  expect(await listMeasurements(control.db, runId)).toHaveLength(4);
  expect((await latestMeasurements(control.db, runId)).map(({ gate, value }) => [gate, value])).toEqual([
    ['errors', 0.7],
    ['latency', null],
  ]);
});

test('a log entry is opened once, updated, and listed newest first', async () => {
  const [runId, planName] = [uniqueName('run'), uniqueName('plan')];
  const entry = { planName, target: 'shop', tableName: 'items', performedBy: 'ana' };
  const key = { runId, phase: 'fill', action: 'backfill' as const };
  await openLogEntry(control.db, key, entry);
  await openLogEntry(control.db, key, { ...entry, performedBy: 'somebody else' });
  await openLogEntry(control.db, { ...key, action: 'undo' }, entry);
  const counts = { processed: 10, migrated: 6, skipped: 2, ambiguous: 1, failed: 1 };
  await updateLogEntry(control.db, key, { counts, outcome: 'completed' });
  const log = await listLog(control.db, { plan: planName, limit: 10 });
  expect(log.map(({ action }) => action)).toEqual(['undo', 'backfill']);
  expect(log[1]).toMatchObject({
    performedBy: 'ana',
    processed: 10,
    succeeded: 6,
    failed: 1,
    outcome: 'completed',
  });
  expect(log[1]?.finishedAt).toBeInstanceOf(Date);
  expect(await listLog(control.db, { runId, action: 'undo', limit: 10 })).toHaveLength(1);
  expect(await listLog(control.db, { runId, before: log[0]?.id, limit: 10 })).toMatchObject([
    { action: 'backfill' },
  ]);
});

test('the audit trail is listed newest first, of one subject or all', async () => {
  const subject = uniqueName('run');
  const actor = { name: 'ana', role: 'operator' as const };
  await audit(control.db, actor, { action: 'pause', subject, accepted: true, details: { reason: 'lunch' } });
  await audit(control.db, actor, { action: 'approve', subject, accepted: false });
  expect(await listAudit(control.db, { subject, limit: 10 })).toMatchObject([
    { action: 'approve', accepted: false, details: {} },
    { action: 'pause', accepted: true, details: { reason: 'lunch' }, actor: 'ana', role: 'operator' },
  ]);
  expect(await listAudit(control.db, { limit: 1 })).toHaveLength(1);
});

test("a dry run's report is put together from its phases, in the plan's order", async () => {
  const id = uniqueName('dry-run');
  await openDryRun(control.db, dryRun(id));
  await storeDryRunPhase(control.db, id, { name: 'fill', summary: 'first try' });
  await storeDryRunPhase(control.db, id, { name: 'fill', summary: 'would migrate 3 rows' });
  await storeDryRunPhase(control.db, id, { name: 'widen', summary: 'would apply 1 statement' });
  expect(await findDryRun(control.db, id)).toMatchObject({ report: null, finishedAt: null });
  await finishDryRun(control.db, id, { problems: [] }, ['widen', 'fill']);
  const found = await findDryRun(control.db, id);
  expect(found?.finishedAt).toBeInstanceOf(Date);
  expect(found?.report).toEqual({
    problems: [],
    phases: [
      { name: 'widen', summary: 'would apply 1 statement' },
      { name: 'fill', summary: 'would migrate 3 rows' },
    ],
  });
});

test('only a dry run without a report can be taken back', async () => {
  const [open, finished] = [uniqueName('dry-run'), uniqueName('dry-run')];
  await openDryRun(control.db, dryRun(open));
  await openDryRun(control.db, dryRun(finished));
  await openDryRun(control.db, dryRun(finished));
  await finishDryRun(control.db, finished, {}, []);
  await discardDryRun(control.db, open);
  await discardDryRun(control.db, finished);
  expect(await findDryRun(control.db, open)).toBeUndefined();
  expect(await findDryRun(control.db, finished)).toMatchObject({ report: { phases: [] } });
});

function dryRun(id: string) {
  return { id, planName: 'p', planVersion: 1, target: 'shop', performedBy: 'ana' };
}
