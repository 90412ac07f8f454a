import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { countRunsByStatus } from '../../db/runs.ts';
import { RUN_STATUSES } from '../../domain/run-state.ts';
import type { ApiDependencies } from '../dependencies.ts';

/** Measures every request and counts runs by status. */
export function measure(app: FastifyInstance, { db, logger }: ApiDependencies): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const durations = new Histogram({
    name: 'cutover_http_request_duration_seconds',
    help: 'Time to answer a request, by route; event streams, which last as long as they are watched, are left out',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  });
  new Gauge({
    name: 'cutover_runs',
    help: 'Runs by status',
    labelNames: ['status'],
    registers: [registry],
    async collect() {
      this.reset();
      try {
        const counts = new Map((await countRunsByStatus(db)).map(({ status, runs }) => [status, runs]));
        for (const status of RUN_STATUSES) this.set({ status }, counts.get(status) ?? 0);
      } catch (error) {
        // The other metrics are wanted most when the database is away.
        logger.warn({ err: error }, 'runs could not be counted for /metrics');
      }
    },
  });
  app.addHook('onResponse', async (request, reply) => {
    if (String(reply.getHeader('content-type')).startsWith('text/event-stream')) return;
    if (reply.raw.getHeader('content-type') === 'text/event-stream') return;
    // Unknown paths share one label, or anybody could add as many as they like.
    const route = request.routeOptions.url ?? '(unknown)';
    durations.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1_000);
  });
  app.addHook('onClose', async () => registry.clear());
  return registry;
}
