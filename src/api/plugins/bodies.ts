import type { FastifyInstance } from 'fastify';

/**
 * Reads JSON bodies. An empty one is no body, because clients that name the content type with every request, also with
 * commands that need no body, mean just that. Text is no document of any kind here, so it is a 415.
 */
export function readBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['text/plain', 'application/json']);
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, text, done) => {
    if (text === '') done(null, undefined);
    else parse(request, text, done);
  });
}
