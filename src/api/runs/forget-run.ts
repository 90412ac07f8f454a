import type { ForgetRunInput } from '../../contracts/runs.ts';
import { FORGET_RUN_WORKFLOW } from '../../contracts/workflow-types.ts';
import { audit } from '../../db/audit.ts';
import type { Run } from '../../db/runs.ts';
import type { Actor } from '../../domain/approval.ts';
import { isFinal } from '../../domain/run-state.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { ApiProblem } from '../errors/problem.ts';
import { assertTemporalAnswers } from '../temporal.ts';
import { planOf } from './run-detail.ts';
import { executeRunWorkflow } from './run-workflow.ts';

/**
 * Removes what the target holds of a run that has ended: the old values of its rows above all, so that none can be restored
 * any more. Audited, whether it was done or not.
 * @throws ApiProblem when the run has not ended, or nobody answers in time.
 */
export async function forgetRun(
  deps: ApiDependencies,
  actor: Actor,
  run: Run,
  reason: string | undefined,
): Promise<void> {
  const { id: runId, planName, target, status } = run;
  const record = (accepted: boolean, why?: string) =>
    audit(deps.db, actor, { action: 'forget', subject: runId, accepted, details: { reason, why } });
  try {
    if (!isFinal(status)) {
      const why = `the run is ${status.replaceAll('_', ' ')} and needs what the target holds of it; end it first`;
      throw new ApiProblem('command-refused', why, { runId, state: status, role: actor.role });
    }
    const { document: plan } = await planOf(deps, run);
    await assertTemporalAnswers(deps.temporal, 'nothing was removed');
    const input: ForgetRunInput = { runId, planName, target, plan, actor };
    await executeRunWorkflow<void>(deps, run, {
      type: FORGET_RUN_WORKFLOW,
      workflowId: `${runId}/forget`,
      input,
      summary: `forget ${runId}`,
      failed: { kind: 'forget-failed', detail: 'The run was not forgotten' },
      unconfirmed: `it may still be done. Look at /api/runs/${runId}/events.`,
    });
  } catch (error) {
    if (error instanceof ApiProblem) await record(false, error.message);
    throw error;
  }
  await record(true);
}
