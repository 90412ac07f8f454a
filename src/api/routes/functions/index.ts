import { z } from 'zod';
import { allExceptions } from '../../../db/exceptions.ts';
import { findPlanByEndpoint, type RegisteredPlan } from '../../../db/plans.ts';
import { findActiveRun, findLatestRun, type Run } from '../../../db/runs.ts';
import type { Actor } from '../../../domain/approval.ts';
import type { ApiDependencies } from '../../dependencies.ts';
import { ApiProblem } from '../../errors/problem.ts';
import { keyTexts } from '../../present/records.ts';
import { awaitBackfill } from '../../runs/backfill-window.ts';
import { awaitDryRun, startDryRun } from '../../runs/dry-run.ts';
import { startRun } from '../../runs/start-run.ts';
import {
  type FunctionDryRun,
  type FunctionRun,
  functionBody,
  functionDryRunSchema,
  functionParams,
  functionRunSchema,
} from '../../schemas/functions.ts';
import type { Routes } from '../../server.ts';

const DRY_RUN_WAIT_MS = 60_000;
const RUN_WAIT_MS = 20_000;
/** Rows that an answer lists; the rest is at /api/runs/:id/exceptions. */
const LISTED = 1_000;

type Call = z.output<typeof functionBody>;

export const functionRoutes: Routes = (deps) => async (app) => {
  app.post(
    '/functions/v1/:endpoint',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['functions'],
        summary: "A plan's backfill in the form of a migration function",
        description:
          'Looks the plan up by its `endpoint`. With dryRun (the default) it tells what would happen to the next batchSize ' +
          'rows; without, it starts the plan, or joins its run, and answers once the backfill has come past the offset. ' +
          'Call again with offset = nextOffset while hasMore.',
        params: functionParams,
        body: functionBody.nullish(),
        response: { 200: z.union([functionDryRunSchema, functionRunSchema]) },
      },
    },
    async (request) => {
      const { endpoint } = request.params;
      const plan = await findPlanByEndpoint(deps.db, endpoint);
      const backfill = plan?.document.phases.find((phase) => phase.kind === 'backfill')?.name;
      if (!plan || backfill === undefined) {
        throw new ApiProblem(
          'not-found',
          `No plan is served as "${endpoint}"; register one with endpoint: ${endpoint}.`,
        );
      }
      const call = request.body ?? functionBody.parse({});
      return call.dryRun
        ? dryRun(deps, request.actor, plan, backfill, call)
        : migrate(deps, request.actor, plan, backfill, call);
    },
  );
};

/** The part of a dry run's report that is about the backfill. */
const setAside = z.looseObject({
  key: z.array(z.unknown()).transform((key) => key.map(String)),
  reason: z.string(),
});
const backfillReport = z.object({
  counts: z.object({ processed: z.number(), migrated: z.number(), skipped: z.number() }),
  samples: z.array(z.unknown()),
  ambiguous: z.array(setAside),
  failed: z.array(setAside),
  nextOffset: z.number(),
  hasMore: z.boolean(),
});

async function dryRun(
  deps: ApiDependencies,
  actor: Actor,
  plan: RegisteredPlan,
  backfill: string,
  { batchSize, offset }: Call,
): Promise<FunctionDryRun> {
  const id = await startDryRun(deps, actor, plan, { batchSize, offset, limit: batchSize });
  const result = await awaitDryRun(deps, id, DRY_RUN_WAIT_MS);
  if (!result) {
    throw new ApiProblem(
      'not-confirmed',
      `The dry run takes longer than ${DRY_RUN_WAIT_MS / 1_000} s; its report will be at /api/dry-runs/${id}.`,
    );
  }
  const report = backfillReport.parse(result.phases.find(({ name }) => name === backfill)?.details);
  const { processed, migrated, skipped } = report.counts;
  const { ambiguous, failed: errors, samples, nextOffset, hasMore } = report;
  return {
    success: true,
    dryRun: true,
    processed,
    migrated,
    skipped,
    ambiguous,
    errors,
    samples,
    nextOffset,
    hasMore,
  };
}

async function migrate(
  deps: ApiDependencies,
  actor: Actor,
  plan: RegisteredPlan,
  backfill: string,
  { batchSize, offset }: Call,
): Promise<FunctionRun> {
  const run = await joinOrStart(deps, actor, plan, { batchSize, offset });
  const { status, counts, nextOffset, hasMore } = await awaitBackfill(deps, run.id, backfill, {
    from: offset,
    upTo: offset + batchSize,
    waitMs: RUN_WAIT_MS,
  });
  const listed = hasMore ? { ambiguous: [], errors: [] } : await listSetAside(deps, run, backfill);
  const { processed, migrated, skipped } = counts;
  return {
    success: true,
    dryRun: false,
    runId: run.id,
    state: status,
    processed,
    migrated,
    skipped,
    ...listed,
    nextOffset,
    hasMore,
  };
}

/** An offset belongs to the calls of a run that has begun, and that may have ended since the last of them. */
async function joinOrStart(
  deps: ApiDependencies,
  actor: Actor,
  plan: RegisteredPlan,
  { batchSize, offset }: Pick<Call, 'batchSize' | 'offset'>,
): Promise<Run> {
  const { name } = plan;
  const { target } = plan.document;
  const joined =
    offset > 0 ? await findLatestRun(deps.db, name, target) : await findActiveRun(deps.db, name, target);
  if (joined) return joined;
  try {
    return (await startRun(deps, actor, { plan: name, timeScale: 1, batchSize })).run;
  } catch (error) {
    // Another call started it at the same moment.
    const active = await findActiveRun(deps.db, name, target);
    if (error instanceof ApiProblem && error.kind === 'active-run-exists' && active) return active;
    throw error;
  }
}

async function listSetAside(
  { db }: ApiDependencies,
  run: Run,
  backfill: string,
): Promise<Pick<FunctionRun, 'ambiguous' | 'errors'>> {
  const listed: Pick<FunctionRun, 'ambiguous' | 'errors'> = { ambiguous: [], errors: [] };
  for await (const page of allExceptions(db, run.id, { status: 'open' })) {
    for (const { phase, kind, key, reason, suggestion, sqlstate } of page) {
      if (phase !== backfill || (kind !== 'ambiguous' && kind !== 'failed')) continue;
      const list = kind === 'ambiguous' ? listed.ambiguous : listed.errors;
      if (list.length < LISTED) list.push({ key: keyTexts(key), reason, suggestion, sqlstate });
    }
  }
  return listed;
}
