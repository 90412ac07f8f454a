import { previewRollback } from '../../runs/rollback-preview.ts';
import { requireRun } from '../../runs/run-detail.ts';
import { runIdParams } from '../../schemas/common.ts';
import { rollbackPreviewQuery, rollbackPreviewSchema } from '../../schemas/rollback-preview.ts';
import type { Routes } from '../../server.ts';

export const rollbackPreviewRoutes: Routes = (deps) => async (app) => {
  app.get(
    '/api/runs/:id/rollback-preview',
    {
      config: { access: 'operator' },
      schema: {
        tags: ['runs'],
        summary: 'What a rollback would do, step by step, and what it would cost',
        description: 'Looks at the target as it is now, in READ ONLY transactions, and does nothing.',
        params: runIdParams,
        querystring: rollbackPreviewQuery,
        response: { 200: rollbackPreviewSchema },
      },
    },
    async (request) => {
      const run = await requireRun(deps, request.params.id);
      return previewRollback(deps, run, request.query.kept === 'count');
    },
  );
};
