import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server on a free port of the loopback interface, for answers that the API itself gives only when it is broken. */
export async function startHttpServer(
  answer: RequestListener,
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** The address of a port that nobody listens on: it was free a moment ago. */
export async function deadAddress(): Promise<string> {
  const server = await startHttpServer(() => {});
  await server.close();
  return server.url;
}
