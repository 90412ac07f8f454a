import { randomBytes } from 'node:crypto';
import type { UndoRowsInput, UndoRowsResult } from '../../contracts/runs.ts';
import { UNDO_ROWS_WORKFLOW } from '../../contracts/workflow-types.ts';
import { audit } from '../../db/audit.ts';
import type { Run } from '../../db/runs.ts';
import type { Actor } from '../../domain/approval.ts';
import { plural } from '../../domain/plural.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { assertTemporalAnswers } from '../temporal.ts';
import { backfillNamed } from './backfill-named.ts';
import { planOf } from './run-detail.ts';
import { executeRunWorkflow } from './run-workflow.ts';

/**
 * Restores single rows of a run's backfill from what was kept of them, and waits until it is done. Audited.
 * @param phaseName which backfill; may be left out when the plan has one.
 * @throws ApiProblem when there is no such backfill, the rows can't be restored, or nobody answers in time.
 */
export async function undoRows(
  deps: ApiDependencies,
  actor: Actor,
  run: Run,
  request: { phaseName?: string | undefined; keys: string[][]; reason?: string | undefined },
): Promise<UndoRowsResult> {
  const { document } = await planOf(deps, run);
  const phase = backfillNamed(document, request.phaseName);
  await assertTemporalAnswers(deps.temporal, 'no row was restored');

  const { keys, reason } = request;
  const { id: runId, planName, target } = run;
  const input: UndoRowsInput = { runId, planName, target, phase, keys, actor };
  await audit(deps.db, actor, {
    action: 'undo-rows',
    subject: runId,
    accepted: true,
    details: { phase: phase.name, keys, reason },
  });
  return executeRunWorkflow<UndoRowsResult>(deps, run, {
    type: UNDO_ROWS_WORKFLOW,
    workflowId: `${runId}/${phase.name}/undo-rows-${randomBytes(4).toString('hex')}`,
    input,
    phase: phase.name,
    summary: `restore ${plural(keys.length, 'row')} of ${phase.table}`,
    failed: { kind: 'undo-rows-failed', detail: 'No row was restored' },
    unconfirmed: `the rows may still be restored. Look at /api/runs/${runId}/events.`,
  });
}
