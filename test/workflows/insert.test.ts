import { afterEach, beforeEach, expect, it } from 'vitest';
import { backfill, CONTACTS, leadsPlan, schema, validate } from '../fixtures/leads.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { type System, startSystem } from '../support/system.ts';

let system: System;
beforeEach(async () => {
  system = await startSystem({ setup: CONTACTS });
});
afterEach(() => system.close());

const leads = async () => {
  const { rows } = await system.target.query(
    `SELECT count(*)::int AS all, count(DISTINCT contact_id)::int AS contacts, count(*) FILTER (WHERE priority = 'medium')::int AS medium FROM leads`,
  );
  return rows[0];
};

it('a run that makes a table and copies rows into it completes, and is rolled back to what there was', async () => {
  const before = await fingerprint(system.target);
  const approval = { kind: 'approval', name: 'go-live', deadline: '48h' } as const;
  const run = await system.start(leadsPlan(schema, backfill, validate, approval));
  await run.reaches('awaiting_approval');
  expect(await leads()).toEqual({ all: 2994, contacts: 2994, medium: 2994 });
  expect((await run.phase('fill'))?.summary).toContain('2994');
  await run.command('rollback');
  await run.reaches('rolled_back');
  expect(await fingerprint(system.target)).toEqual(before);
});

it('leads that the application has, or has taken up, outlive the rollback', async () => {
  await system.target.query(schema.up[0] ?? '');
  await system.target.query(`CREATE TABLE calls (lead uuid REFERENCES leads ON DELETE CASCADE)`);
  await system.target.query(
    `INSERT INTO leads (contact_id, workspace_id) SELECT id, 'mine' FROM contacts ORDER BY created_at LIMIT 10`,
  );
  const approval = { kind: 'approval', name: 'go-live', deadline: '48h' } as const;
  const run = await system.start(leadsPlan(backfill, approval));
  await run.reaches('awaiting_approval');
  await system.target.query(`INSERT INTO calls SELECT id FROM leads WHERE workspace_id <> 'mine' LIMIT 3`);
  await run.command('rollback');
  await run.reaches('rolled_back');
  expect((await leads()).all).toBe(13);
  const { rows } = await system.target.query('SELECT FROM calls');
  expect(rows).toHaveLength(3);
});
