import { randomBytes } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import { CONTROL_QUEUE } from '../../contracts/names.ts';
import type { UndoRowsInput, UndoRowsResult } from '../../contracts/runs.ts';
import { searchAttribute } from '../../contracts/search-attributes.ts';
import { UNDO_ROWS_WORKFLOW } from '../../contracts/workflow-types.ts';
import { audit } from '../../db/audit.ts';
import type { Run } from '../../db/runs.ts';
import type { Actor } from '../../domain/approval.ts';
import type { BackfillPhase } from '../../domain/plan.ts';
import { plural } from '../../domain/plural.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { ApiProblem } from '../errors/problem.ts';
import { isTemporalFault } from '../errors/recognize.ts';
import { assertTemporalAnswers, callTemporal } from '../temporal.ts';
import { workflowFailure } from './dry-run.ts';
import { planOf } from './run-detail.ts';

const WAIT_MS = 60_000;

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
  const { temporal } = deps;
  const { document } = await planOf(deps, run);
  const backfills = document.phases.filter((phase) => phase.kind === 'backfill');
  const phase = backfillNamed(backfills, request.phaseName);
  await assertTemporalAnswers(temporal, 'no row was restored');

  const { keys, reason } = request;
  const { id: runId, planName, target } = run;
  const input: UndoRowsInput = { runId, planName, target, phase, keys, actor };
  const workflowId = `${runId}/${phase.name}/undo-rows-${randomBytes(4).toString('hex')}`;
  await audit(deps.db, actor, {
    action: 'undo-rows',
    subject: runId,
    accepted: true,
    details: { phase: phase.name, keys, reason },
  });
  try {
    return await callTemporal(temporal, WAIT_MS, () =>
      temporal.workflow.execute(UNDO_ROWS_WORKFLOW, {
        workflowId,
        taskQueue: CONTROL_QUEUE,
        args: [input],
        // A call that is repeated after a fault joins the workflow that it has started.
        workflowIdConflictPolicy: 'USE_EXISTING',
        typedSearchAttributes: [
          { key: searchAttribute.run, value: runId },
          { key: searchAttribute.plan, value: planName },
          { key: searchAttribute.target, value: target },
          { key: searchAttribute.phase, value: phase.name },
        ],
        staticSummary: `restore ${plural(keys.length, 'row')} of ${phase.table}`,
      }),
    );
  } catch (error) {
    if (error instanceof WorkflowFailedError) {
      throw new ApiProblem(
        'undo-rows-failed',
        `No row was restored: ${workflowFailure(error)}`,
        { runId },
        { cause: error },
      );
    }
    if (!isTemporalFault(error)) throw error;
    const detail = `Nobody confirmed within ${WAIT_MS / 1_000} s; the rows may still be restored. Look at /api/runs/${runId}/events.`;
    throw new ApiProblem('not-confirmed', detail, { runId }, { cause: error });
  }
}

function backfillNamed(backfills: BackfillPhase[], name: string | undefined): BackfillPhase {
  const found = name === undefined ? backfills : backfills.filter((phase) => phase.name === name);
  const [phase] = found;
  if (phase && found.length === 1) return phase;
  const names = backfills.map((backfill) => backfill.name).join(', ') || 'none';
  const what = name === undefined ? 'Name the backfill phase' : `The run has no backfill phase "${name}"`;
  throw new ApiProblem('invalid-request', `${what}; its backfills are: ${names}.`);
}
