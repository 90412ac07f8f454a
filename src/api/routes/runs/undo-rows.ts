import { requireRun } from '../../runs/run-detail.ts';
import { undoRows } from '../../runs/undo-rows.ts';
import { runIdParams } from '../../schemas/common.ts';
import { undoRowsBody, undoRowsSchema } from '../../schemas/undo-rows.ts';
import type { Routes } from '../../server.ts';

export const undoRowsRoutes: Routes = (deps) => async (app) => {
  app.post(
    '/api/runs/:id/undo-rows',
    {
      config: { access: 'operator' },
      schema: {
        tags: ['runs'],
        summary: 'Restore single rows of a backfill by their keys',
        description:
          'Whatever the run is doing meanwhile. Rows that the application changed since are kept as they are.',
        params: runIdParams,
        body: undoRowsBody,
        response: { 200: undoRowsSchema },
      },
    },
    async (request) => {
      const run = await requireRun(deps, request.params.id);
      const { phase, keys, reason } = request.body;
      const texts = keys.map((key) => (Array.isArray(key) ? key.map(String) : [String(key)]));
      return undoRows(deps, request.actor, run, { phaseName: phase, keys: texts, reason });
    },
  );
};
