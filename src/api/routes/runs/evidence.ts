import { listMeasurements } from '../../../db/gate-measurements.ts';
import { presentMeasurement } from '../../present/records.ts';
import { requireRun } from '../../runs/run-detail.ts';
import { runIdParams } from '../../schemas/common.ts';
import { gateListSchema } from '../../schemas/gates.ts';
import type { Routes } from '../../server.ts';

export const evidenceRoutes: Routes = (deps) => async (app) => {
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
