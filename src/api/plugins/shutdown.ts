import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Longest time that requests have to finish once the API closes. */
const GRACE_MS = 20_000;

/**
 * Makes closing prompt. By itself the server lets running requests finish, but would then wait for their connections to be
 * given up by the client, and for those on which no request ever came; browsers and HTTP clients open such ahead of need.
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
  app.server.on('request', ({ socket }, response) => {
    unused.delete(socket);
    response.once('close', () => {
      if (closing) socket.end();
    });
  });
  app.addHook('preClose', async () => {
    closing = true;
    for (const socket of unused) socket.destroy();
    setTimeout(() => app.server.closeAllConnections(), GRACE_MS).unref();
  });
}
