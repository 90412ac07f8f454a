import { findException, groupExceptions, listExceptions, type RunException } from '../../../db/exceptions.ts';
import { ApiProblem } from '../../errors/problem.ts';
import { presentException } from '../../present/records.ts';
import { decideMany, decideOne, unknownException } from '../../runs/decide-exceptions.ts';
import { requireRun } from '../../runs/run-detail.ts';
import { idempotencyHeaders, runIdParams } from '../../schemas/common.ts';
import {
  decisionSchema,
  exceptionCursor,
  exceptionGroupsQuery,
  exceptionGroupsSchema,
  exceptionIdParams,
  exceptionListSchema,
  exceptionSchema,
  exceptionsQuery,
  replayBody,
  replayManyBody,
  resolveBody,
  resolveManyBody,
  skipBody,
  skipManyBody,
} from '../../schemas/exceptions.ts';
import type { Routes } from '../../server.ts';

const tags = ['exceptions'];
const viewer = { access: 'viewer' } as const;
const operator = { access: 'operator' } as const;
const headers = idempotencyHeaders;

export const exceptionRoutes: Routes = (deps) => async (app) => {
  app.get(
    '/api/runs/:id/exceptions',
    {
      config: viewer,
      schema: {
        tags,
        summary: 'Rows that the run set aside, by key',
        params: runIdParams,
        querystring: exceptionsQuery,
        response: { 200: exceptionListSchema },
      },
    },
    async (request) => {
      const run = await requireRun(deps, request.params.id);
      const { after, ...query } = request.query;
      const page = { ...query, after: after === undefined ? undefined : readCursor(after) };
      const rows = await listExceptions(deps.db, run.id, page);
      const last = rows.at(-1);
      return {
        exceptions: rows.map(presentException),
        next: last && rows.length === query.limit ? writeCursor(last) : null,
      };
    },
  );

  app.get(
    '/api/runs/:id/exceptions/reasons',
    {
      config: viewer,
      schema: {
        tags,
        summary: 'Reasons for which rows were set aside, with their numbers, the most frequent first',
        params: runIdParams,
        querystring: exceptionGroupsQuery,
        response: { 200: exceptionGroupsSchema },
      },
    },
    async (request) => {
      const run = await requireRun(deps, request.params.id);
      return { reasons: await groupExceptions(deps.db, run.id, request.query) };
    },
  );

  app.get(
    '/api/runs/:id/exceptions/:exceptionId',
    {
      config: viewer,
      schema: {
        tags,
        summary: 'One row that was set aside, with the statement that failed',
        params: exceptionIdParams,
        response: { 200: exceptionSchema },
      },
    },
    async (request) => {
      const { id, exceptionId } = request.params;
      const run = await requireRun(deps, id);
      const found = await findException(deps.db, run.id, Number(exceptionId));
      if (!found) throw unknownException(run.id, exceptionId);
      return presentException(found);
    },
  );

  await app.register(singleDecisions(deps));
  await app.register(bulkDecisions(deps));
};

const singleDecisions: Routes = (deps) => async (app) => {
  const schema = {
    tags,
    headers,
    params: exceptionIdParams,
    response: { 200: exceptionSchema },
  };
  app.post(
    '/api/runs/:id/exceptions/:exceptionId/resolve',
    {
      config: operator,
      schema: {
        ...schema,
        summary: 'Write a value to a row that was set aside, or what the transform suggested',
        body: resolveBody,
      },
    },
    async ({ actor, params, body, headers: given }) => {
      const { reason, values, evenIfChanged } = body;
      return decideOne(deps, actor, params, {
        decision: { kind: 'resolve', values, evenIfChanged },
        note: reason,
        idempotencyKey: given['idempotency-key'],
      });
    },
  );
  app.post(
    '/api/runs/:id/exceptions/:exceptionId/replay',
    {
      config: operator,
      schema: { ...schema, summary: 'Derive a row again that was set aside', body: replayBody.nullish() },
    },
    async ({ actor, params, body, headers: given }) =>
      decideOne(deps, actor, params, {
        decision: { kind: 'replay' },
        note: body?.reason,
        idempotencyKey: given['idempotency-key'],
      }),
  );
  app.post(
    '/api/runs/:id/exceptions/:exceptionId/skip',
    {
      config: operator,
      schema: { ...schema, summary: 'Leave a row as it is', body: skipBody },
    },
    async ({ actor, params, body, headers: given }) =>
      decideOne(deps, actor, params, {
        decision: { kind: 'skip' },
        note: body.reason,
        idempotencyKey: given['idempotency-key'],
      }),
  );
};

const bulkDecisions: Routes = (deps) => async (app) => {
  const schema = { tags, headers, params: runIdParams, response: { 200: decisionSchema } };
  app.post(
    '/api/runs/:id/exceptions/resolve',
    {
      config: operator,
      schema: {
        ...schema,
        summary: 'Accept the suggestions of many rows, or write the same values to all of them',
        body: resolveManyBody,
      },
    },
    async ({ actor, params, body, headers: given }) => {
      const { filter, reason, values, evenIfChanged } = body;
      return decideMany(deps, actor, params.id, filter, {
        decision: { kind: 'resolve', values, evenIfChanged },
        note: reason,
        idempotencyKey: given['idempotency-key'],
      });
    },
  );
  app.post(
    '/api/runs/:id/exceptions/replay',
    {
      config: operator,
      schema: { ...schema, summary: 'Derive many rows again that were set aside', body: replayManyBody },
    },
    async ({ actor, params, body, headers: given }) =>
      decideMany(deps, actor, params.id, body.filter, {
        decision: { kind: 'replay' },
        note: body.reason,
        idempotencyKey: given['idempotency-key'],
      }),
  );
  app.post(
    '/api/runs/:id/exceptions/skip',
    {
      config: operator,
      schema: { ...schema, summary: 'Leave many rows as they are', body: skipManyBody },
    },
    async ({ actor, params, body, headers: given }) =>
      decideMany(deps, actor, params.id, body.filter, {
        decision: { kind: 'skip' },
        note: body.reason,
        idempotencyKey: given['idempotency-key'],
      }),
  );
};

type Cursor = Pick<RunException, 'sortKey' | 'exceptionId'>;

function writeCursor({ sortKey, exceptionId }: Cursor): string {
  return Buffer.from(JSON.stringify([sortKey, exceptionId])).toString('base64url');
}

function readCursor(text: string): Cursor {
  try {
    const [sortKey, exceptionId] = exceptionCursor.parse(
      JSON.parse(Buffer.from(text, 'base64url').toString('utf8')),
    );
    return { sortKey, exceptionId };
  } catch (cause) {
    throw new ApiProblem(
      'invalid-request',
      'query.after: is not the `next` of an earlier page',
      {},
      { cause },
    );
  }
}
