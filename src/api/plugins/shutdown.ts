import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Longest time that requests have to finish once the API closes. */
const GRACE_MS = 20_000;

/**
 * Makes closing prompt. The server lets running requests finish and closes connections that are idle after one, but would
 * wait for those on which no request ever came; browsers and HTTP clients open such ahead of need.
 */
export function closePromptly(app: FastifyInstance): void {
  const unused = new Set<Socket>();
  let closing = false;
  app.server.on('connection', (socket: Socket) => {
    if (closing) {
      socket.destroy();
      return;
    }
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  app.server.on('request', (request) => unused.delete(request.socket));
  app.addHook('preClose', async () => {
    closing = true;
    for (const socket of unused) socket.destroy();
    setTimeout(() => app.server.closeAllConnections(), GRACE_MS).unref();
  });
}
