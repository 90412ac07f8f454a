import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { problemSchema } from '../schemas/common.ts';

const DESCRIPTION = `Runs data migration plans durably. Send \`Authorization: Bearer <token>\`; what a token may do depends on its
role: viewer, operator, approver or admin, each of which may do all that the ones before it may. Errors are
application/problem+json.`;

/** Publishes the OpenAPI document at /api/openapi.json and the pages made of it at /api/docs. */
export async function publishOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Cutover', description: DESCRIPTION, version: '0.2.0' },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => withoutUnusedSchemas(jsonSchemaTransformObject(document)),
  });
  await app.register(fastifySwaggerUi, { routePrefix: '/api/docs' });
  app.get('/api/openapi.json', { schema: { hide: true } }, () => app.swagger());
}

/** Says on every route of the scope who may call it, and what its errors look like. */
export function documentAccess(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    const access = route.config?.access;
    const schema: FastifySchema = route.schema ?? {};
    const response = (schema.response ?? {}) as Record<string, unknown>;
    route.schema = {
      ...schema,
      security: access === 'open' ? [] : [{ token: [] }],
      description: [schema.description, route.config?.accessNote ?? accessText(access)]
        .filter(Boolean)
        .join(' '),
      response: { ...response, default: PROBLEM },
    } satisfies RouteOptions['schema'];
  });
}

function accessText(access: string | undefined): string {
  return access === 'open' ? 'Needs no token.' : `Role: ${access} or above.`;
}

const PROBLEM = {
  description: 'What went wrong and what to do next',
  content: { 'application/problem+json': { schema: problemSchema } },
};

type Documents = ReturnType<typeof jsonSchemaTransformObject>;
type OpenApiDocument = Extract<Documents, { components?: unknown }>;

/** Every registered schema is there twice, as input and as output; most are used as only one of them. */
function withoutUnusedSchemas(document: Documents): Documents {
  const { paths, components } = document as OpenApiDocument;
  const schemas = components?.schemas ?? {};
  const used = new Set<string>();
  const open: unknown[] = [paths];
  while (open.length > 0) {
    for (const [, name = ''] of JSON.stringify(open.pop()).matchAll(/#\/components\/schemas\/([^"]+)/g)) {
      if (used.has(name)) continue;
      used.add(name);
      open.push(schemas[name]);
    }
  }
  const kept = Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name)));
  return { ...document, components: { ...components, schemas: kept } } as Documents;
}
