import { listExceptions, type RunException } from '../../../db/exceptions.ts';
import { listMeasurements } from '../../../db/gate-measurements.ts';
import { ApiProblem } from '../../errors/problem.ts';
import { presentException, presentMeasurement } from '../../present/records.ts';
import { requireRun } from '../../runs/run-detail.ts';
import { runIdParams } from '../../schemas/common.ts';
import { exceptionCursor, exceptionListSchema, exceptionsQuery } from '../../schemas/exceptions.ts';
import { gateListSchema } from '../../schemas/gates.ts';
import type { Routes } from '../../server.ts';

export const evidenceRoutes: Routes = (deps) => async (app) => {
  app.get(
    '/api/runs/:id/exceptions',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['runs'],
        summary: 'Rows that the run set aside, by key',
        params: runIdParams,
        querystring: exceptionsQuery,
        response: { 200: exceptionListSchema },
      },
    },
    async (request) => {
      const run = await requireRun(deps, request.params.id);
      const { phase, kind, limit } = request.query;
      const after = request.query.after === undefined ? undefined : readCursor(request.query.after);
      const rows = await listExceptions(deps.db, run.id, { phase, kind, after, limit });
      const last = rows.at(-1);
      return {
        exceptions: rows.map(presentException),
        next: last && rows.length === limit ? writeCursor(last) : null,
      };
    },
  );

  app.get(
    '/api/runs/:id/gates',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['runs'],
        summary: 'Every measurement of every gate, oldest first',
        params: runIdParams,
        response: { 200: gateListSchema },
      },
    },
    async (request) => {
      const run = await requireRun(deps, request.params.id);
      return { measurements: (await listMeasurements(deps.db, run.id)).map(presentMeasurement) };
    },
  );
};

type Cursor = Pick<RunException, 'key' | 'phase' | 'kind'>;

function writeCursor({ key, phase, kind }: Cursor): string {
  return Buffer.from(JSON.stringify([key, phase, kind])).toString('base64url');
}

function readCursor(text: string): Cursor {
  try {
    const [key, phase, kind] = exceptionCursor.parse(
      JSON.parse(Buffer.from(text, 'base64url').toString('utf8')),
    );
    return { key, phase, kind };
  } catch (cause) {
    throw new ApiProblem(
      'invalid-request',
      'query.after: is not the `next` of an earlier page',
      {},
      { cause },
    );
  }
}
