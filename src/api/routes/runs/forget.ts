import { forgetRun } from '../../runs/forget-run.ts';
import { describeRun, requireRun } from '../../runs/run-detail.ts';
import { runIdParams } from '../../schemas/common.ts';
import { commandBody, runDetailSchema } from '../../schemas/runs.ts';
import type { Routes } from '../../server.ts';

export const forgetRoutes: Routes = (deps) => async (app) => {
  app.post(
    '/api/runs/:id/forget',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['runs'],
        summary: 'Remove what the target holds of a run that has ended',
        description:
          'The old values of its rows above all: none of them can be restored any more. What the control database tells of the run stays.',
        params: runIdParams,
        body: commandBody.nullish(),
        response: { 200: runDetailSchema },
      },
    },
    async (request) => {
      const run = await requireRun(deps, request.params.id);
      await forgetRun(deps, request.actor, run, request.body?.reason);
      return describeRun(deps, await requireRun(deps, run.id));
    },
  );
};
