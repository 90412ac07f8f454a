import pg from 'pg';
import { startApi } from '../api/main.ts';
import type { Config, TargetConfig, Token } from '../config.ts';
import { runStatement } from '../dev/database.ts';
import { startStack } from '../dev/stack.ts';
import { devTokens } from '../dev/state.ts';
import type { Role } from '../domain/role.ts';
import { startWorker } from '../worker/main.ts';
import { ApiClient } from './api-client.ts';
import { devLogger } from './logger.ts';

export type DevServer = {
  apiUrl: string;
  webUiUrl: string | undefined;
  tokens: Token[];
  /** A client that acts as the stack's token holder of this role. */
  client(role: Role): ApiClient;
  /** URL of the database behind the target `app`. */
  appUrl: string;
  logFile: string;
  /** Drops that database with all that is in it, and creates it anew. */
  recreateApp(): Promise<void>;
  /** Rejects when the worker ends by a fault. */
  stopped: Promise<void>;
  /** Ends API, worker and servers in this order, so that nobody is left without what it needs. */
  stop(): Promise<void>;
};

export type DevServerOptions = {
  config: Config;
  dir: string;
  port: number;
  /** Name of the database behind the target `app`; created when missing. */
  appDatabase: string;
  /** Modules with transforms, beside the configured ones. */
  transforms: string[];
  say: (line: string) => void;
  /** Show warnings of the API and the worker on stderr, beside their log file. */
  showWarnings: boolean;
};

const APP_POOL_SIZE = 8;

/** Starts PostgreSQL, Temporal, the API and a worker in this process, with a target `app` to try things on. */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  const { config, say, dir } = options;
  const stack = await startStack({ config, dir, say });
  const undo: (() => Promise<unknown>)[] = [() => stack.stop()];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const { logger, file } = devLogger(dir, config.logLevel, options.showWarnings);
    const tokens = [...devTokens(dir), ...config.tokens];
    const appUrl = await stack.postgres.database(options.appDatabase);
    const targets: Record<string, TargetConfig> = {
      ...config.targets,
      app: { url: appUrl, poolSize: APP_POOL_SIZE },
    };
    const { address, namespace, webUiUrl } = stack.temporal;
    const shared = {
      databaseUrl: stack.postgres.url,
      temporal: { ...config.temporal, address, namespace },
      targets,
      logLevel: config.logLevel,
    };
    const transforms = [...config.transforms, ...options.transforms];
    const worker = await startWorker({ ...shared, transforms }, { logger });
    undo.push(() => worker.close());
    const api = await startApi(
      { ...shared, tokens, host: config.host, port: options.port, webUiUrl },
      { logger },
    );
    undo.push(() => api.close());
    stack.publish({ apiUrl: api.url });
    const recreateApp = async () => {
      const name = pg.escapeIdentifier(options.appDatabase);
      await runStatement(stack.postgres.url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await stack.postgres.database(options.appDatabase);
    };
    const { stopped } = worker;
    const client = (role: Role) => new ApiClient(api.url, tokens.find((known) => known.role === role)?.token);
    return { apiUrl: api.url, webUiUrl, tokens, client, appUrl, logFile: file, recreateApp, stopped, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
