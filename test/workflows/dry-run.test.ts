import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DryRunPhaseReport } from '../../src/contracts/activities.ts';
import { CONTROL_QUEUE } from '../../src/contracts/names.ts';
import type { DryRunInput } from '../../src/contracts/runs.ts';
import { DRY_RUN_WORKFLOW } from '../../src/contracts/workflow-types.ts';
import { findDryRun, openDryRun } from '../../src/db/dry-runs.ts';
import { listLog } from '../../src/db/migration-log.ts';
import type { PlanProblem } from '../../src/domain/plan-problem.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import type { PlanInput } from '../../src/plan/schema.ts';
import type { dryRun } from '../../src/workflows/dry-run.ts';
import {
  approval,
  backfill,
  backup,
  cleanup,
  gate,
  PEOPLE,
  plan,
  rollout,
  schema,
  soak,
  validate,
} from '../fixtures/people.ts';
import { fingerprint } from '../support/fingerprint.ts';
import { OPERATOR, type System, startSystem } from '../support/system.ts';
import { uniqueName } from '../support/unique-name.ts';

type DryRunReport = { problems: PlanProblem[]; phases: DryRunPhaseReport[] };

let system: System;
beforeEach(async () => {
  system = await startSystem({ setup: PEOPLE });
});
afterEach(() => system.close());

async function tryOut(input: PlanInput, options: Partial<DryRunInput> = {}) {
  const id = uniqueName('dry-run');
  await openDryRun(system.db, {
    id,
    planName: input.name,
    planVersion: 1,
    target: 'app',
    performedBy: OPERATOR.name,
  });
  const outcome = await system.client.workflow.execute<typeof dryRun>(DRY_RUN_WORKFLOW, {
    workflowId: id,
    taskQueue: CONTROL_QUEUE,
    args: [{ id, plan: parsePlan(input), performedBy: OPERATOR, ...options }],
  });
  const report = (await findDryRun(system.db, id))?.report as DryRunReport;
  return { id, outcome, report };
}

describe('a dry run', () => {
  it('tells what every phase would do and leaves the target byte for byte as it was', async () => {
    await system.target.query('UPDATE people SET last = NULL WHERE id IN (3, 4)');
    await system.target.query(`ALTER TABLE people ADD CONSTRAINT short CHECK (length(first) < 100)`);
    const before = await fingerprint(system.target);
    const whole = plan('whole', schema, backup, backfill, validate, approval, rollout, soak, cleanup);
    const { id, outcome, report } = await tryOut(whole);

    expect(await fingerprint(system.target)).toEqual(before);
    expect(report.problems).toEqual([]);
    // Rows are for the control database; Temporal's history gets none.
    expect(outcome).toEqual({ problems: [] });
    expect(
      report.phases.map(({ name, summary }) => `${name}: ${summary.replace(/; looked at.*/, '')}`),
    ).toEqual([
      'expand: would apply 2 statements',
      'backup: would copy 1000 rows of people',
      'fill: would migrate 1000 of 1000 rows (0 skipped, 0 ambiguous, 0 failing)',
      'verify: 3 queries, 1 of them only after what the run adds',
      'go-live: would wait for 1 approval within 48h',
      'roll-out: would roll full_name out: 10 % for 1d, 50 % for 1d, 100 % for 1d',
      'soak: would watch full_name at 100 % for 2d',
      'contract: would apply 1 statement, 1 finding of the DDL linter waived',
    ]);
    expect(report.phases.at(-1)?.details).toMatchObject({
      findings: [
        { path: 'statements[0]', rule: 'ban-drop-column', waivedBecause: 'nobody weighs people any more' },
      ],
    });
    expect(await listLog(system.db, { runId: id, limit: 10 })).toMatchObject([
      { action: 'dry-run', processed: 1000, succeeded: 1000, performedBy: 'olga', outcome: 'completed' },
    ]);
  });

  it('shows rows before and after, and lists the rows that would fail with the reason', async () => {
    await system.target.query(`UPDATE people SET first = 'not a number' WHERE id = 5`);
    const numbers = {
      ...backfill,
      columns: { full_name: 'text' },
      transform: { kind: 'sql' as const, set: { full_name: "replace(first, 'First', '')::int::text" } },
    };
    const { report } = await tryOut(plan('samples', schema, numbers), { limit: 10, batchSize: 4 });
    const details = report.phases[1]?.details;
    expect(details).toMatchObject({
      counts: { processed: 10, migrated: 9, failed: 1 },
      failed: [{ key: ['5'], reason: expect.stringContaining('invalid input syntax for type integer') }],
      nextOffset: 10,
    });
    expect(details?.samples).toContainEqual({
      key: ['1'],
      before: expect.objectContaining({ full_name: null }),
      after: { full_name: '1' },
    });
  });

  it('refuses queries that the target does not understand, and those of later phases not before they can be', async () => {
    const wrong = { ...validate, queries: [{ ...validate.queries[1], sql: 'SELECT nonsense FROM people' }] };
    const gates = [{ ...gate, sql: 'SELECT error_rat FROM health' }];
    const probe = {
      kind: 'sql' as const,
      name: 'p99',
      sql: 'SELECT p99 FROM healt',
      limit: 1,
      unit: 'ms',
    };
    const { report } = await tryOut(
      plan('queries', { ...backfill, throttle: [probe] }, wrong as typeof validate, { ...rollout, gates }),
    );
    expect(report.problems.map(({ path, problem }) => [path, problem])).toEqual([
      ['phases[0].columns.full_name', expect.stringContaining('no earlier phase of the plan adds it')],
      ['phases[0].throttle[0].sql', expect.stringContaining('relation "healt" does not exist')],
      ['phases[1].queries[0].sql', expect.stringContaining('column "nonsense" does not exist')],
      ['phases[2].gates[0].sql', expect.stringContaining('column "error_rat" does not exist')],
    ]);

    const later = [{ ...gate, sql: 'SELECT count(*) FROM people WHERE full_name IS NULL' }];
    const { report: whole } = await tryOut(plan('later', schema, { ...rollout, gates: later }));
    expect(whole.problems).toEqual([]);
    expect(whole.phases[1]).toMatchObject({
      summary: expect.stringMatching(/; 1 gate can be checked only after what the run adds$/),
      details: { gates: [{ name: 'error-rate', notYet: expect.stringContaining('"full_name"') }] },
    });
  });

  it('forecasts what the backfill takes, and looks at a sample only when that is what is wanted', async () => {
    const whole = (await tryOut(plan('forecast', schema, backfill))).report.phases[1];
    expect(whole?.summary).toMatch(
      /forecast: \d+m?s to \d.*, [\d.]+ [kM]B to [\d.]+ [kM]B of WAL, [\d.]+ [kM]B to [\d.]+ [kM]B of disk/,
    );
    expect(whole?.details.forecast).toMatchObject({ rows: { low: 1000, high: 1000 } });

    const { report } = await tryOut(plan('sampled', schema, backfill), { sample: { rows: 200 } });
    expect(report.phases[1]).toMatchObject({
      summary: expect.stringMatching(/^of \d+ random rows out of about 1000: would migrate \d+ of \d+ rows/),
      details: { sample: { of: 1000, expected: { migrated: { high: 1000 } } } },
    });
    expect(report.phases[1]?.details.forecast).toMatchObject({ rows: { high: 1000 } });

    const page = (await tryOut(plan('page', schema, backfill), { limit: 10 })).report.phases[1];
    expect(page?.details.forecast).toBeUndefined();
  });

  it('reports problems instead of trying', async () => {
    const { report } = await tryOut(plan('problems', { ...backup, tables: [{ table: 'nowhere' }] }));
    expect(report).toMatchObject({
      problems: [{ path: 'phases[0].tables[0].table', problem: 'the target has no table "nowhere"' }],
      phases: [],
    });
  });
});

describe('a target that cannot be reached', () => {
  it('ends the run in preflight, within seconds, and says where it looked', async () => {
    const unreachable = await startSystem({
      setup: PEOPLE,
      workerTargetUrl: 'postgresql://u:secret@127.0.0.1:1/none',
    });
    try {
      const run = await unreachable.start(plan('unreachable', schema, backfill));
      const { reason } = await run.reaches('failed');
      expect(reason).toContain('ECONNREFUSED');
      expect(reason).toContain('127.0.0.1:1');
      expect(reason).not.toContain('secret');
    } finally {
      await unreachable.close();
    }
  });
});
