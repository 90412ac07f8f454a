import { createHash, randomBytes } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { FAILURE } from '../../contracts/errors.ts';
import { CONTROL_QUEUE } from '../../contracts/names.ts';
import type { DecideExceptionsInput } from '../../contracts/runs.ts';
import { searchAttribute } from '../../contracts/search-attributes.ts';
import { DECIDE_EXCEPTIONS_WORKFLOW } from '../../contracts/workflow-types.ts';
import { audit } from '../../db/audit.ts';
import { findException } from '../../db/exceptions.ts';
import type { Run } from '../../db/runs.ts';
import type { Actor } from '../../domain/approval.ts';
import type { BackfillPhase } from '../../domain/plan.ts';
import type { DecisionResult, ExceptionDecision, ExceptionFilter } from '../../domain/row-exception.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { ApiProblem } from '../errors/problem.ts';
import { causes, isTemporalFault } from '../errors/recognize.ts';
import { presentException } from '../present/records.ts';
import type { RowException } from '../schemas/exceptions.ts';
import { assertTemporalAnswers, callTemporal } from '../temporal.ts';
import { backfillNamed } from './backfill-named.ts';
import { workflowFailure } from './dry-run.ts';
import { planOf, requireRun } from './run-detail.ts';

const WAIT_MS = 60_000;

type Request = {
  decision: ExceptionDecision;
  /** Why, as the actor has it. */
  note: string | undefined;
  idempotencyKey: string | undefined;
};

/**
 * Carries out a decision about one row that was set aside, and waits until it is done. Audited.
 * @returns the exception as it is then; a row that was derived again may be set aside once more.
 * @throws ApiProblem when there is no such exception, or it is as it was, with the reason.
 */
export async function decideOne(
  deps: ApiDependencies,
  actor: Actor,
  { id: runId, exceptionId }: { id: string; exceptionId: string },
  request: Request,
): Promise<RowException> {
  const run = await requireRun(deps, runId);
  const before = await findException(deps.db, runId, Number(exceptionId));
  if (!before) throw unknownException(runId, exceptionId);
  const { document } = await planOf(deps, run);
  const phase = backfillNamed(document, before.phase);
  const result = await decide(deps, actor, run, phase, { ids: [exceptionId] }, request);
  if (result.unknown.length > 0) throw unknownException(runId, exceptionId);
  const after = (await findException(deps.db, runId, Number(exceptionId))) ?? before;
  const derivedAgain = request.decision.kind === 'replay' && after.status === 'open' && after.kind !== 'kept';
  if (result.left > 0 && !derivedAgain) {
    const why = result.examples[0]?.why ?? 'it is as it was';
    throw new ApiProblem('exception-undecided', `Exception ${exceptionId} was not decided: ${why}.`, {
      runId,
    });
  }
  return presentException(after);
}

/**
 * Carries out a decision about all exceptions that meet the filter, and waits until it is done. Audited.
 * @throws ApiProblem when there is no such backfill, the decision comes too late, or nobody answers in time.
 */
export async function decideMany(
  deps: ApiDependencies,
  actor: Actor,
  runId: string,
  {
    phase: phaseName,
    all: _,
    ...filter
  }: ExceptionFilter & { phase?: string | undefined; all?: true | undefined },
  request: Request,
): Promise<DecisionResult> {
  const run = await requireRun(deps, runId);
  const { document } = await planOf(deps, run);
  return decide(deps, actor, run, backfillNamed(document, phaseName), filter, request);
}

export function unknownException(runId: string, id: string): ApiProblem {
  return new ApiProblem(
    'not-found',
    `Run ${runId} has no exception ${id}; GET /api/runs/${runId}/exceptions lists those that were copied from the target, ` +
      'which happens at the end of each slice of some minutes.',
  );
}

async function decide(
  deps: ApiDependencies,
  actor: Actor,
  run: Run,
  phase: BackfillPhase,
  filter: ExceptionFilter,
  { decision, note, idempotencyKey }: Request,
): Promise<DecisionResult> {
  const { temporal } = deps;
  refuseRedacted(phase, decision);
  await assertTemporalAnswers(temporal, 'nothing was decided');
  const { id: runId, planName, target } = run;
  const input: DecideExceptionsInput = { runId, planName, target, phase, actor, decision, filter, note };
  await audit(deps.db, actor, {
    action: `${decision.kind}-exceptions`,
    subject: runId,
    accepted: true,
    details: { phase: phase.name, filter, decision, reason: note },
  });
  try {
    return await callTemporal(temporal, WAIT_MS, () =>
      temporal.workflow.execute(DECIDE_EXCEPTIONS_WORKFLOW, {
        workflowId: `${runId}/${phase.name}/${decision.kind}-${requestName(input, idempotencyKey)}`,
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
        staticSummary: `${decision.kind} rows of ${phase.table} that were set aside`,
      }),
    );
  } catch (error) {
    throw problemOf(error, runId);
  }
}

/** The same key with the same request is the same decision, which is carried out once. */
function requestName(input: DecideExceptionsInput, idempotencyKey: string | undefined): string {
  if (idempotencyKey === undefined) return randomBytes(4).toString('hex');
  const { actor: _, ...request } = input;
  return createHash('sha256')
    .update(JSON.stringify([idempotencyKey, request]))
    .digest('hex')
    .slice(0, 16);
}

/** Early, so that the value gets into no record at all. */
function refuseRedacted({ redact }: BackfillPhase, decision: ExceptionDecision): void {
  const values = decision.kind === 'resolve' ? (decision.values ?? {}) : {};
  const column = Object.keys(values).find((name) => redact.includes(name));
  if (column === undefined) return;
  throw new ApiProblem(
    'value-refused',
    `Column "${column}" is redacted by the plan, so its values are not sent through Cutover; write it to the row yourself ` +
      'and skip the exception, or accept what the transform suggests.',
  );
}

function problemOf(error: unknown, runId: string): unknown {
  if (error instanceof WorkflowFailedError) {
    const type = causes(error).find((cause) => cause instanceof ApplicationFailure)?.type;
    const kind = PROBLEMS[type ?? ''] ?? 'decision-failed';
    return new ApiProblem(kind, `${workflowFailure(error)}.`, { runId }, { cause: error });
  }
  if (!isTemporalFault(error)) return error;
  const detail =
    `Nobody confirmed within ${WAIT_MS / 1_000} s; the decision may still be carried out, and goes on by itself if it has ` +
    `begun. Look at /api/runs/${runId}/events.`;
  return new ApiProblem('not-confirmed', detail, { runId }, { cause: error });
}

const PROBLEMS: Record<string, 'command-refused' | 'value-refused'> = {
  [FAILURE.decisionRefused]: 'command-refused',
  [FAILURE.valueRefused]: 'value-refused',
};
