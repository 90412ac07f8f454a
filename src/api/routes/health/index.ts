import type { Registry } from 'prom-client';
import { z } from 'zod';
import { describeFault } from '../../errors/recognize.ts';
import { healthSchema, type Readiness, readinessSchema } from '../../schemas/health.ts';
import type { Routes } from '../../server.ts';
import { assertTemporalAnswers } from '../../temporal.ts';
import { within } from '../../within.ts';

const tags = ['operation'];
const DATABASE_MS = 3_000;

export const healthRoutes =
  (metrics: Registry): Routes =>
  ({ db, temporal }) =>
  async (app) => {
    app.get(
      '/healthz',
      {
        config: { access: 'open' },
        schema: { tags, summary: 'Is the process up?', response: { 200: healthSchema } },
      },
      async () => ({ status: 'ok' as const }),
    );

    app.get(
      '/readyz',
      {
        config: { access: 'open' },
        schema: {
          tags,
          summary: 'Do the control database and the Temporal server answer?',
          response: { 200: readinessSchema, 503: readinessSchema },
        },
      },
      async (_request, reply) => {
        const [database, temporalServer] = await Promise.all([
          check(() => within(DATABASE_MS, db.pool.query('SELECT 1'))),
          check(() => assertTemporalAnswers(temporal, 'no run can be started or commanded')),
        ]);
        const ready = database.ok && temporalServer.ok;
        return reply.code(ready ? 200 : 503).send({ ready, database, temporal: temporalServer });
      },
    );

    app.get(
      '/metrics',
      {
        config: { access: 'open' },
        schema: {
          tags,
          summary: 'Metrics for Prometheus',
          response: { 200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } } },
        },
      },
      async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()),
    );
  };

async function check(probe: () => Promise<unknown>): Promise<Readiness['database']> {
  try {
    await probe();
    return { ok: true };
  } catch (error) {
    return { ok: false, detail: describeFault(error) };
  }
}
