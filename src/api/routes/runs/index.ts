import { listRuns } from '../../../db/runs.ts';
import type { Role } from '../../../domain/role.ts';
import { RUN_COMMANDS, type RunCommand } from '../../../domain/run-state.ts';
import { presentRun } from '../../present/run.ts';
import { commandRun } from '../../runs/command-run.ts';
import { describeRun, requireRun } from '../../runs/run-detail.ts';
import { startRun } from '../../runs/start-run.ts';
import { idempotencyHeaders, runIdParams } from '../../schemas/common.ts';
import {
  commandBody,
  runDetailSchema,
  runListQuery,
  runListSchema,
  startRunBody,
  throttleBody,
} from '../../schemas/runs.ts';
import type { Routes } from '../../server.ts';
import { eventRoutes } from './events.ts';
import { evidenceRoutes } from './evidence.ts';
import { exceptionRoutes } from './exceptions.ts';
import { forgetRoutes } from './forget.ts';
import { reportRoutes } from './report.ts';
import { rollbackPreviewRoutes } from './rollback-preview.ts';
import { undoRowsRoutes } from './undo-rows.ts';

const tags = ['runs'];

type Access = { access: Role; accessNote?: string };

/** Who decides an approval is the plan's business: people by name whatever their role, or other roles than these. */
const decision = {
  access: 'viewer',
  accessNote: "Role: approver or above, or whom the plan's approval phase names.",
} satisfies Access;

/** Commands by who may give them, with what they do. */
const COMMANDS: Record<RunCommand, Access & { summary: string }> = {
  pause: { access: 'operator', summary: 'Stop at the next batch border, and stop the clocks of holds' },
  resume: { access: 'operator', summary: 'Go on where the run stopped; a failed phase is tried again' },
  throttle: {
    access: 'operator',
    summary: 'Work with more or fewer connections on the backfill, verification or undo under way',
  },
  advance: { access: 'operator', summary: 'End the present hold of a rollout stage or soak early' },
  rollback: { access: 'operator', summary: 'Undo what was done, in reverse order' },
  approve: { ...decision, summary: 'Approve the phase that the run waits in' },
  reject: { ...decision, summary: 'Refuse the approval; the run is rolled back' },
};

export const runRoutes: Routes = (deps) => async (app) => {
  app.post(
    '/api/runs',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Start a run',
        description: 'The same Idempotency-Key again answers 200 with the run that it made.',
        headers: idempotencyHeaders,
        body: startRunBody,
        response: { 200: runDetailSchema, 201: runDetailSchema },
      },
    },
    async (request, reply) => {
      const idempotencyKey = request.headers['idempotency-key'];
      const { run, created } = await startRun(deps, request.actor, { ...request.body, idempotencyKey });
      reply.header('location', `/api/runs/${run.id}`);
      return reply.code(created ? 201 : 200).send(await describeRun(deps, run));
    },
  );

  app.get(
    '/api/runs',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Runs, newest first',
        querystring: runListQuery,
        response: { 200: runListSchema },
      },
    },
    async (request) => {
      const runs = await listRuns(deps.db, request.query);
      const next = runs.length < request.query.limit ? null : (runs.at(-1)?.id ?? null);
      return { runs: runs.map(presentRun), next };
    },
  );

  app.get(
    '/api/runs/:id',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'A run with its phases, progress, gates and what it waits for',
        params: runIdParams,
        response: { 200: runDetailSchema },
      },
    },
    async (request) => describeRun(deps, await requireRun(deps, request.params.id)),
  );

  for (const command of RUN_COMMANDS) {
    const { summary, ...config } = COMMANDS[command];
    app.post(
      `/api/runs/:id/${command}`,
      {
        config,
        schema: {
          tags,
          summary,
          headers: idempotencyHeaders,
          params: runIdParams,
          body: command === 'throttle' ? throttleBody : commandBody.nullish(),
          response: { 200: runDetailSchema },
        },
      },
      async (request) => {
        const run = await commandRun(deps, request.actor, {
          runId: request.params.id,
          command,
          ...request.body,
          idempotencyKey: request.headers['idempotency-key'],
        });
        return describeRun(deps, run);
      },
    );
  }

  await app.register(eventRoutes(deps));
  await app.register(undoRowsRoutes(deps));
  await app.register(rollbackPreviewRoutes(deps));
  await app.register(forgetRoutes(deps));
  await app.register(exceptionRoutes(deps));
  await app.register(evidenceRoutes(deps));
  await app.register(reportRoutes(deps));
};
