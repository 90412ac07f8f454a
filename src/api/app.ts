import { randomUUID } from 'node:crypto';
import { fastifySSE } from '@fastify/sse';
import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { ApiDependencies } from './dependencies.ts';
import { answerError, handleErrors } from './errors/handler.ts';
import { authorize } from './plugins/auth.ts';
import { readBodies } from './plugins/bodies.ts';
import { measure } from './plugins/metrics.ts';
import { documentAccess, publishOpenApi } from './plugins/openapi.ts';
import { closePromptly } from './plugins/shutdown.ts';
import { auditRoutes } from './routes/audit/index.ts';
import { dryRunRoutes } from './routes/dry-runs/index.ts';
import { functionRoutes } from './routes/functions/index.ts';
import { healthRoutes } from './routes/health/index.ts';
import { migrationLogRoutes } from './routes/migration-log/index.ts';
import { planRoutes } from './routes/plans/index.ts';
import { runRoutes } from './routes/runs/index.ts';
import type { Routes } from './server.ts';

const MAX_BODY_BYTES = 1024 * 1024;
/** Often enough for proxies that close connections which are silent for a minute. */
const HEARTBEAT_MS = 15_000;

const ROUTES: Routes[] = [
  planRoutes,
  dryRunRoutes,
  runRoutes,
  migrationLogRoutes,
  auditRoutes,
  functionRoutes,
];

/** The HTTP API, not yet listening. Closing it leaves the dependencies open. */
export function buildApi(deps: ApiDependencies): FastifyInstance {
  const app: FastifyInstance = Fastify({
    loggerInstance: deps.logger,
    genReqId: () => randomUUID(),
    bodyLimit: MAX_BODY_BYTES,
    frameworkErrors: answerError,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  handleErrors(app);
  readBodies(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  closePromptly(app);
  const metrics = measure(app, deps);

  app.register(fastifySSE, { heartbeatInterval: HEARTBEAT_MS });
  app.register(async (root) => {
    await publishOpenApi(root);
    await root.register(async (scope) => {
      authorize(scope, deps);
      documentAccess(scope);
      await scope.register(healthRoutes(metrics)(deps));
      for (const routes of ROUTES) await scope.register(routes(deps));
    });
  });
  return app;
}
