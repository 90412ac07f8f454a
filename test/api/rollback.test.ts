import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RollbackPreview } from '../../src/api/schemas/rollback-preview.ts';
import { previewLines } from '../../src/cli/output/rollback-preview.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import { listAudit } from '../../src/db/audit.ts';
import { listEvents } from '../../src/db/run-events.ts';
import { approval, backfill, backup, cleanup, PEOPLE, plan, rollout, schema } from '../fixtures/people.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { type System, startSystem, type TestRun } from '../support/system.ts';
import { apiOver, type TestApi } from './test-api.ts';

let system: System;
let api: TestApi;
beforeAll(async () => {
  system = await startSystem({ setup: PEOPLE });
  const { db, client: temporal } = system;
  api = apiOver({ db, temporal, targets: ['app'] }, system.config.databaseUrl);
});
afterAll(async () => {
  await api?.close();
  await system?.close();
});

async function preview(run: TestRun, kept = 'estimate'): Promise<RollbackPreview> {
  const { status, body } = await api.call(
    'operator',
    'GET',
    `/api/runs/${run.id}/rollback-preview?kept=${kept}`,
  );
  expect(status).toBe(200);
  return body as RollbackPreview;
}

const everyRow = { ...backfill, where: undefined, pending: 'full_name IS NULL' };
const sync = { kind: 'sync', name: 'keep', backfill: 'fill', mode: 'trigger' } as const;

describe('what a rollback would do', () => {
  it('is shown step by step as things are, and then comes about', async () => {
    const before = await fingerprint(system.target);
    const run = await system.start(
      plan('preview', schema, sync, backup, everyRow, { ...rollout, gates: [] }, cleanup),
      { timeScale: 1 },
    );
    await run.reaches('running');
    const atStage = async () =>
      (await system.target.query('SELECT rollout_percentage AS p FROM feature_flags')).rows[0].p;
    await expect.poll(atStage, { timeout: 30_000 }).toBe(10);
    await system.target.query(`UPDATE people SET last = 'somebody else' WHERE id IN (7, 700)`);

    const found = await preview(run);
    expect(found).toMatchObject({
      runId: run.id,
      refusedBecause: null,
      pointOfNoReturn: { phase: 'contract', begun: false },
      rows: 1000,
      steps: [
        { phase: 'roll-out', kind: 'rollout', action: 'set full_name to 0 % and disable it (now at 10 %)' },
        { phase: 'keep', action: 'remove the sync of "fill"' },
        {
          phase: 'fill',
          action: 'restore 1000 rows of people',
          rows: { rows: 1000, exact: true, kept: { rows: 2, how: 'counted', compared: 1000 } },
        },
        {
          phase: 'backup',
          action: expect.stringMatching(/^drop public\.people_backup_\d{8} \(1000 rows\)$/),
        },
        { phase: 'expand', action: 'apply 2 statements', statements: schema.down },
      ],
    });
    expect(previewLines(createStyle(false), found)).toEqual([
      `A rollback of ${run.id} would, in this order:`,
      '  1. roll-out  set full_name to 0 % and disable it (now at 10 %)',
      '  2. keep      remove the sync of "fill"',
      expect.stringMatching(/^ {2}3\. fill {6}restore 1000 rows of people/),
      '               of which 2 rows kept as they are, because they were changed since',
      expect.stringMatching(/^ {2}4\. backup {4}drop public\.people_backup_\d{8} \(1000 rows\)$/),
      '  5. expand    apply 2 statements',
      ...(schema.down ?? []).map((statement) => `               ${statement}`),
      `  and remove Cutover's own tables of the run`,
      'There is a way back until "contract" begins.',
    ]);

    await run.command('rollback');
    await run.reaches('rolled_back');
    expect((await run.phase('fill'))?.summary).toBe('998 rows restored, 2 kept as they are');
    await system.target.query(`UPDATE people SET last = 'Last' || id WHERE id IN (7, 700)`);
    expect(await fingerprint(system.target)).toEqual(before);
    const after = await preview(run);
    expect(after).toMatchObject({
      steps: [],
      rows: 0,
      refusedBecause: expect.stringContaining('rolled back'),
    });
  });

  it('is for operators', async () => {
    const answer = await api.call('viewer', 'GET', '/api/runs/any/rollback-preview');
    expect(answer).toMatchObject({ status: 403, body: { required: 'operator' } });
  });
});

describe('forgetting a run', () => {
  const kept = async () => {
    const { rows } = await system.target.query(
      `SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('cutover') AND relkind = 'r'`,
    );
    return rows.length;
  };

  it('removes what a completed run has left in its target for rows to be restored from', async () => {
    const run = await system.start(plan('forgotten', schema, sync, everyRow, approval));
    await run.reaches('awaiting_approval');
    const early = await api.call('admin', 'POST', `/api/runs/${run.id}/forget`);
    expect(early).toMatchObject({ status: 409, body: { state: 'awaiting_approval' } });
    await run.command('approve', { name: 'anna', role: 'approver' });
    await run.reaches('completed');
    expect(await run.messages()).toContain(
      `the target keeps what single rows can be restored from, until somebody ends that: cutover forget ${run.id}`,
    );
    expect(await kept()).toBeGreaterThan(0);
    const undone = await api.call('operator', 'POST', `/api/runs/${run.id}/undo-rows`, {
      payload: { keys: [1] },
    });
    expect(undone.body).toMatchObject({ restored: [['1']] });

    expect((await api.call('operator', 'POST', `/api/runs/${run.id}/forget`)).status).toBe(403);
    const payload = { reason: 'a month has passed' };
    const forgotten = await api.call('admin', 'POST', `/api/runs/${run.id}/forget`, { payload });
    expect(forgotten).toMatchObject({ status: 200, body: { status: 'completed' } });
    expect(await kept()).toBe(0);
    const again = await api.call('operator', 'POST', `/api/runs/${run.id}/undo-rows`, {
      payload: { keys: [2] },
    });
    expect(again.body).toMatchObject({ restored: [], unknown: [['2']] });

    const events = await listEvents(system.db, run.id, 0);
    expect(events.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^forgotten by admin-ann: nothing is left/),
    );
    const trail = await listAudit(system.db, { subject: run.id, limit: 10 });
    expect(trail.filter(({ action }) => action === 'forget').map(({ accepted }) => accepted)).toEqual([
      true,
      false,
    ]);
    await system.target.query('ALTER TABLE people DROP COLUMN full_name');
  });

  it('takes triggers away that a run has left whose workflow was ended from outside', async () => {
    const run = await system.start(plan('terminated', schema, sync, approval, everyRow));
    await run.reaches('awaiting_approval');
    await run.handle.terminate('somebody was in a hurry');
    await system.db.query.execute(
      `UPDATE cutover_control.runs SET status = 'terminated', finished_at = now() WHERE id = '${run.id}'`,
    );
    const triggers = async () =>
      (
        await system.target.query(
          `SELECT FROM pg_trigger WHERE tgrelid = 'people'::regclass AND NOT tgisinternal`,
        )
      ).rowCount;
    expect(await triggers()).toBeGreaterThan(0);
    const forgotten = await api.call('admin', 'POST', `/api/runs/${run.id}/forget`);
    expect(forgotten.status).toBe(200);
    expect(await triggers()).toBe(0);
    expect(await kept()).toBe(0);
    await system.target.query(`UPDATE people SET first = 'still writable' WHERE id = 1`);
  });
});
