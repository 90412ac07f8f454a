import type { AddressInfo } from 'node:net';
import { Client } from '@temporalio/client';
import type { FastifyBaseLogger } from 'fastify';
import type { ApiConfig } from '../config.ts';
import { migrateControlDb, openControlDb } from '../db/control-db.ts';
import { listenForEvents } from '../db/run-events.ts';
import { buildApi } from './app.ts';
import { startReconciler } from './reconcile.ts';
import { openTemporal } from './temporal.ts';

export type RunningApi = {
  /** Where it listens, without a slash at its end. */
  url: string;
  /** Stops accepting, lets requests finish and event streams end, then lets go of its connections. */
  close(): Promise<void>;
};

/**
 * Starts the API on its own connections. It starts without a Temporal server and says so on /readyz.
 * @throws when the control database doesn't answer or the port is taken; nothing is left open then.
 */
export async function startApi(
  config: ApiConfig,
  { logger }: { logger: FastifyBaseLogger },
): Promise<RunningApi> {
  const db = openControlDb(config.databaseUrl, (error) =>
    logger.warn({ err: error }, 'control database connection lost'),
  );
  const { address, namespace, tls, apiKey } = config.temporal;
  const connection = openTemporal({ address, tls, apiKey });
  const temporal = new Client({ connection, namespace });
  const opened: (() => Promise<void>)[] = [() => db.close(), () => connection.close()];
  const close = async () => {
    for (const step of opened.splice(0).reverse()) await step();
  };
  try {
    await migrateControlDb(db);
    const wakeups = listenForEvents(config.databaseUrl);
    opened.push(() => wakeups.close());
    const targets = Object.keys(config.targets);
    const deps = { db, temporal, wakeups, tokens: config.tokens, targets, webUiUrl: config.webUiUrl, logger };
    const app = buildApi(deps);
    opened.push(() => app.close());
    await app.listen({ host: config.host, port: config.port });
    const reconciler = startReconciler(deps);
    opened.push(() => reconciler.stop());
    const url = urlOf(app.server.address() as AddressInfo);
    logger.info({ url, targets }, 'api listens');
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
