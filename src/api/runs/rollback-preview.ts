import { randomBytes } from 'node:crypto';
import type { RollbackPreviewInput, RollbackStep } from '../../contracts/runs.ts';
import { ROLLBACK_PREVIEW_WORKFLOW } from '../../contracts/workflow-types.ts';
import { listPhases, medianRate, type RunPhase } from '../../db/run-phases.ts';
import type { Run } from '../../db/runs.ts';
import type { Plan } from '../../domain/plan.ts';
import { refusal } from '../../domain/run-state.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { RollbackPreview } from '../schemas/rollback-preview.ts';
import { assertTemporalAnswers } from '../temporal.ts';
import { planOf, situationOf } from './run-detail.ts';
import { executeRunWorkflow } from './run-workflow.ts';

/** Nothing to undo in these; a phase whose undo failed has something left. */
const WITHOUT_UNDO: RunPhase['state'][] = ['pending', 'undone'];

/** Rows went back between half and twice as fast as they had been migrated, in what was measured. */
const FASTER = 2;
const SLOWER = 0.5;

/**
 * Finds out what a rollback of the run would do, as things are now, and what it would cost.
 * @param countKept whether to compare every row, instead of some, with what its batch had left.
 * @throws ApiProblem when nobody can look, or answers in time.
 */
export async function previewRollback(
  deps: ApiDependencies,
  run: Run,
  countKept: boolean,
): Promise<RollbackPreview> {
  const [{ document: plan }, phases] = await Promise.all([planOf(deps, run), listPhases(deps.db, [run.id])]);
  await assertTemporalAnswers(deps.temporal, 'nothing was looked at');
  const { id: runId, planName, target } = run;
  const begun = phases.filter(({ state }) => !WITHOUT_UNDO.includes(state)).map(({ name }) => name);
  const input: RollbackPreviewInput = { runId, planName, target, plan, begun, countKept };
  const steps = await executeRunWorkflow<RollbackStep[]>(deps, run, {
    type: ROLLBACK_PREVIEW_WORKFLOW,
    workflowId: `${runId}/rollback-preview-${randomBytes(4).toString('hex')}`,
    input,
    summary: `what a rollback of ${runId} would do`,
    timeout: '2m',
    failed: { kind: 'preview-failed', detail: 'What a rollback would do could not be found out' },
    unconfirmed: 'see that a worker serves the target, and that the target can be reached.',
  });
  const situation = situationOf(run, phases, plan);
  return {
    runId,
    refusedBecause: refusal('rollback', situation) ?? null,
    pointOfNoReturn: pointOfNoReturn(plan, situation.pastPointOfNoReturn),
    steps: await Promise.all(steps.map((step) => withDuration(deps, runId, step))),
    rows: steps.reduce((sum, { rows }) => sum + (rows?.rows ?? 0), 0),
  };
}

function pointOfNoReturn(plan: Plan, past: string | undefined): RollbackPreview['pointOfNoReturn'] {
  const phase = past ?? plan.phases.find((planned) => planned.pointOfNoReturn)?.name;
  return phase === undefined ? null : { phase, begun: past !== undefined };
}

async function withDuration(
  { db }: ApiDependencies,
  runId: string,
  step: RollbackStep,
): Promise<RollbackPreview['steps'][number]> {
  const rows = step.rows?.rows ?? 0;
  const rate = rows > 0 ? await medianRate(db, runId, step.phase) : undefined;
  const seconds = rate
    ? { low: Math.ceil(rows / (rate * FASTER)), high: Math.ceil(rows / (rate * SLOWER)) }
    : null;
  return { ...step, seconds };
}
