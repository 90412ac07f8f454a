import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { audit } from '../../db/audit.ts';
import type { Actor } from '../../domain/approval.ts';
import { type Role, roleAtLeast } from '../../domain/role.ts';
import type { ApiDependencies, ApiToken } from '../dependencies.ts';
import { ApiProblem } from '../errors/problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The least role that may call the route; `open` routes ask for no token. */
    access?: Role | 'open';
    /** Says who may call the route when its handler decides that, beyond the least role. */
    accessNote?: string;
  }
  interface FastifyRequest {
    /** Who calls. Only on routes that are not open. */
    actor: Actor;
  }
}

/**
 * Lets nobody through without a token whose role is enough for the route. A route that doesn't say who may call it is
 * refused when it is registered, so that none is open by mistake.
 */
export function authorize(app: FastifyInstance, { db, tokens }: ApiDependencies): void {
  const known = tokens.map((token) => ({ actor: actorOf(token), digest: digest(token.token) }));
  app.decorateRequest('actor', null as unknown as Actor);

  app.addHook('onRoute', (route) => {
    if (route.config?.access === undefined) {
      throw new Error(`route ${String(route.method)} ${route.url} does not say who may call it`);
    }
  });

  app.addHook('onRequest', async (request) => {
    const required = request.routeOptions.config.access;
    if (required === undefined || required === 'open') return;
    const actor = authenticate(request, known);
    if (!roleAtLeast(actor.role, required)) {
      const why = `${actor.name} has role ${actor.role}; this needs ${required}.`;
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        const action = `${request.method} ${request.routeOptions.url}`;
        await audit(db, actor, { action, subject: subjectOf(request), accepted: false, details: { why } });
      }
      throw new ApiProblem('forbidden', why, { role: actor.role, required });
    }
    request.actor = actor;
  });
}

function actorOf({ name, role }: ApiToken): Actor {
  return { name, role };
}

/** Digests have one length, so that comparing them takes the same time whatever was sent. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function authenticate(request: FastifyRequest, known: { actor: Actor; digest: Buffer }[]): Actor {
  const sent = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (sent === undefined) {
    throw new ApiProblem('unauthorized', 'Send the header "Authorization: Bearer <token>".');
  }
  const sentDigest = digest(sent);
  // Every token is compared, so that the time taken does not tell which one came close.
  const [found] = known.filter((token) => timingSafeEqual(token.digest, sentDigest));
  if (!found) throw new ApiProblem('unauthorized', 'The token is not one that this server knows.');
  return found.actor;
}

function subjectOf(request: FastifyRequest): string {
  const { id, name } = request.params as { id?: string; name?: string };
  return id ?? (name === undefined ? request.url.slice(0, 200) : `plan:${name}`);
}
