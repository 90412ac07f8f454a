import { Worker } from '@temporalio/worker';
import { describe, expect, inject, it } from 'vitest';
import {
  CONTROL_QUEUE,
  phaseWorkflowId,
  stageWorkflowId,
  syncEndWorkflowId,
  undoWorkflowId,
  watchWorkflowId,
} from '../../src/contracts/names.ts';
import type {
  DecideExceptionsInput,
  DryRunInput,
  ForgetRunInput,
  RollbackPreviewInput,
} from '../../src/contracts/runs.ts';
import {
  DECIDE_EXCEPTIONS_WORKFLOW,
  DRY_RUN_WORKFLOW,
  FORGET_RUN_WORKFLOW,
  ROLLBACK_PREVIEW_WORKFLOW,
  UNDO_ROWS_WORKFLOW,
} from '../../src/contracts/workflow-types.ts';
import type { BackfillPhase } from '../../src/domain/plan.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import * as workflows from '../../src/workflows/index.ts';
import {
  approval,
  backfill,
  backup,
  cleanup,
  PEOPLE,
  plan,
  rollout,
  schema,
  soak,
  validate,
} from '../fixtures/people.ts';
import { APPROVER, OPERATOR, type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { type RecordedHistory, recordedHistories, recordHistory, typeOf } from './recorded-histories.ts';

async function replay({ workflowId, history }: RecordedHistory): Promise<Error | undefined> {
  const replays = Worker.runReplayHistories({ workflowBundle: { codePath: inject('workflowBundle') } }, [
    { workflowId, history },
  ]);
  for await (const { error } of replays) return error;
  throw new Error('nothing was replayed');
}

describe('recorded histories', () => {
  const histories = recordedHistories();

  it('exist for every workflow type', () => {
    expect(new Set(histories.map(typeOf))).toEqual(new Set(Object.keys(workflows)));
  });

  it.each(histories)(
    'of $name, written by version $version, can be continued by this code',
    async (recorded) => {
      expect(await replay(recorded)).toBeUndefined();
    },
  );

  it('fail to replay when the code would do something else', async () => {
    const recorded = histories.find(({ name }) => name === 'schema');
    const tampered = JSON.parse(JSON.stringify(recorded).replaceAll('changeSchema', 'somethingElse'));
    expect(await replay(tampered)).toMatchObject({ name: 'DeterminismViolationError' });
  });
});

// `npm run record-histories` writes the files; run it when a release changes what workflows do.
describe.runIf(process.env.CUTOVER_RECORD_HISTORIES)('recording histories', () => {
  it('runs plans through every workflow type', async () => {
    const system = await startSystem({ setup: PEOPLE });
    try {
      const phases = [
        schema,
        backup,
        { ...backfill, batchSize: 1 },
        validate,
        approval,
        rollout,
        soak,
        cleanup,
      ];
      const whole = await system.start(plan('whole', ...phases));
      await until(async () => (await whole.phase('fill'))?.state === 'running', { what: 'the backfill' });
      await whole.command('pause');
      await whole.command('resume');
      await whole.reaches('awaiting_approval');
      await whole.command('approve', APPROVER);
      await until(async () => (await whole.phase('roll-out'))?.state === 'running', { what: 'the rollout' });
      await whole.command('advance');
      await whole.reaches('completed');

      await system.target.query('ALTER TABLE people ADD COLUMN weight integer NOT NULL DEFAULT 1');
      await system.target.query('ALTER TABLE people DROP COLUMN full_name');
      const again = { ...backup, tables: [{ table: 'people', as: 'people_copy' }] };
      const undone = await system.start(plan('undone', schema, again, backfill, rollout), {
        timeScale: 20_000,
      });
      await until(async () => (await undone.phase('roll-out'))?.state === 'running', { what: 'the rollout' });
      const phase0 = parsePlan(plan('undone', backfill)).phases[0] as BackfillPhase;
      const rows = {
        runId: undone.id,
        planName: 'undone',
        target: 'app',
        phase: phase0,
        keys: [['1']],
        actor: OPERATOR,
      };
      const undoRowsId = `${undone.id}/undo-rows`;
      await system.client.workflow.execute(UNDO_ROWS_WORKFLOW, {
        workflowId: undoRowsId,
        taskQueue: CONTROL_QUEUE,
        args: [rows],
      });
      const decision: DecideExceptionsInput = {
        ...{ runId: undone.id, planName: 'undone', target: 'app', phase: phase0, actor: OPERATOR },
        decision: { kind: 'replay' },
        filter: {},
      };
      const decisionId = `${undone.id}/fill/replay`;
      await system.client.workflow.execute(DECIDE_EXCEPTIONS_WORKFLOW, {
        workflowId: decisionId,
        taskQueue: CONTROL_QUEUE,
        args: [decision],
      });
      await undone.command('rollback');
      await undone.reaches('rolled_back');

      const synced = await recordSynced(system);

      const dryRun: DryRunInput = {
        id: 'dry-run-whole',
        plan: parsePlan(plan('dry', schema, backfill)),
        performedBy: OPERATOR,
      };
      await system.client.workflow.execute(DRY_RUN_WORKFLOW, {
        workflowId: dryRun.id,
        taskQueue: CONTROL_QUEUE,
        args: [dryRun],
      });

      const phase = (name: string) => phaseWorkflowId(whole.id, name);
      const undo = (name: string) => undoWorkflowId(undone.id, name);
      const names: Record<string, string> = {
        'migration-completed': whole.id,
        'migration-rolled-back': undone.id,
        schema: phase('expand'),
        backup: phase('backup'),
        'backfill-paused': phase('fill'),
        validate: phase('verify'),
        approval: phase('go-live'),
        rollout: phase('roll-out'),
        'rollout-cancelled': phaseWorkflowId(undone.id, 'roll-out'),
        'stage-advanced': stageWorkflowId(whole.id, 'roll-out', 10),
        'stage-held': stageWorkflowId(whole.id, 'roll-out', 50),
        soak: phase('soak'),
        'cleanup-guard': `${phase('contract')}/guard`,
        cleanup: phase('contract'),
        'undo-schema': undo('expand'),
        'undo-backup': undo('backup'),
        'undo-backfill': undo('fill'),
        'undo-rollout': undo('roll-out'),
        'undo-rows': undoRowsId,
        'decide-exceptions': decisionId,
        'dry-run': dryRun.id,
        ...synced,
      };
      for (const [name, workflowId] of Object.entries(names)) await recordHistory(system, workflowId, name);
    } finally {
      await system.close();
    }
  }, 120_000);
});

/** Runs a plan under live traffic, looks at its rollback and forgets it; returns the workflows by the names of their histories. */
async function recordSynced(system: System): Promise<Record<string, string>> {
  const { where: _, ...whole } = backfill;
  const sync = { kind: 'sync' as const, mode: 'trigger' as const, name: 'keep', backfill: 'fill' };
  const check = { kind: 'verify' as const, name: 'check', backfill: 'fill' };
  const phases = plan('synced', schema, sync, { ...whole, pending: 'full_name IS NULL' }, check);
  const run = await system.start(phases);
  await run.reaches('completed');
  const of = { runId: run.id, planName: 'synced', target: 'app', plan: parsePlan(phases) };
  const execute = async (type: string, input: RollbackPreviewInput | ForgetRunInput) => {
    const workflowId = `${run.id}/${type}`;
    await system.client.workflow.execute(type, { workflowId, taskQueue: CONTROL_QUEUE, args: [input] });
    return workflowId;
  };
  return {
    sync: phaseWorkflowId(run.id, 'keep'),
    'sync-watch': watchWorkflowId(run.id, 'keep'),
    'sync-end': syncEndWorkflowId(run.id, 'keep'),
    verify: phaseWorkflowId(run.id, 'check'),
    'rollback-preview': await execute(ROLLBACK_PREVIEW_WORKFLOW, { ...of, begun: ['fill'], countKept: true }),
    'forget-run': await execute(FORGET_RUN_WORKFLOW, { ...of, actor: OPERATOR }),
  };
}
