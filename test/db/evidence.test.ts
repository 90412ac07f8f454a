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
  listExceptions,
  type RunException,
  storeExceptions,
} from '../../src/db/exceptions.ts';
import { latestMeasurements, listMeasurements, recordMeasurement } from '../../src/db/gate-measurements.ts';
import { listLog, openLogEntry, updateLogEntry } from '../../src/db/migration-log.ts';
import { uniqueName } from '../support/unique-name.ts';
import { useControlDatabase } from './control-database.ts';

const control = useControlDatabase();

function exception(runId: string, changes: Partial<RunException>): Omit<RunException, 'recordedAt'> {
  const kind = 'ambiguous' as const;
  return {
    runId,
    phase: 'fill',
    key: '["1"]',
    kind,
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
