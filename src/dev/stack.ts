import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Config, maskUrl } from '../config.ts';
import { ensureDatabase } from './database.ts';
import { startPostgres } from './postgres.ts';
import { claimDirectory, type DevAddresses, publishAddresses, releaseDirectory } from './state.ts';
import { startTemporal } from './temporal.ts';
import { findTemporal } from './temporal-executable.ts';

/** A server of the stack. Stopping and starting one that is the user's own does nothing. */
export type StackServer = {
  stop(): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
};

export type StackPostgres = StackServer & {
  /** URL of the control database. */
  readonly url: string;
  /** Creates a database on the same server unless it is there, and gives its URL. */
  database(name: string): Promise<string>;
};

export type StackTemporal = StackServer & {
  readonly address: string;
  readonly namespace: string;
  /** Undefined for a server of the user's own unless its Web UI is configured. */
  readonly webUiUrl?: string | undefined;
};

export type Stack = {
  readonly dir: string;
  readonly postgres: StackPostgres;
  readonly temporal: StackTemporal;
  /** Tells other processes of this user where something is; see readDevState. */
  publish(addresses: DevAddresses): void;
  /** Ends the servers in order and releases the directory. Stop the API and the worker first. */
  stop(): Promise<void>;
};

export type StackOptions = {
  config: Pick<Config, 'databaseUrl' | 'temporal' | 'webUiUrl' | 'cacheDir' | 'environment'>;
  /** Holds the servers' data, kept across restarts. One stack at a time. */
  dir: string;
  say: (line: string) => void;
  /** More PostgreSQL settings, for the embedded server. */
  postgresSettings?: Record<string, string> | undefined;
  /** More arguments of `temporal server start-dev`, for the dev server. */
  temporalArgs?: readonly string[] | undefined;
};

const CONTROL_DATABASE = 'cutover';

/**
 * Brings up PostgreSQL and Temporal, or takes the ones that are configured.
 * @throws when a stack runs in the directory already, or a server cannot start; nothing is left running then.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const dir = resolve(options.dir);
  createOpenDirectory(dir);
  claimDirectory(dir);
  const [postgres, temporal] = await Promise.allSettled([
    postgresOf(options, join(dir, 'postgres')),
    temporalOf(options, join(dir, 'temporal')),
  ]);
  const stop = async () => {
    // Temporal first: its activities' results are worth nothing without their database.
    try {
      if (temporal.status === 'fulfilled') await temporal.value.stop();
    } finally {
      if (postgres.status === 'fulfilled') await postgres.value.stop();
      releaseDirectory(dir);
    }
  };
  if (postgres.status === 'rejected' || temporal.status === 'rejected') {
    await stop();
    throw postgres.status === 'rejected' ? postgres.reason : (temporal as PromiseRejectedResult).reason;
  }
  const publish = (addresses: DevAddresses) => publishAddresses(dir, addresses);
  const { address, namespace, webUiUrl } = temporal.value;
  publish({
    databaseUrl: postgres.value.url,
    temporalAddress: address,
    temporalNamespace: namespace,
    ...(webUiUrl && { webUiUrl }),
  });
  return { dir, postgres: postgres.value, temporal: temporal.value, publish, stop };
}

/** What is secret in it has a mode of its own; PostgreSQL's user, when root lends it one, must pass through. */
function createOpenDirectory(dir: string): void {
  if (existsSync(dir)) return;
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o755);
}

async function nothingToDo(): Promise<void> {}

async function postgresOf(options: StackOptions, dir: string): Promise<StackPostgres> {
  const own = options.config.databaseUrl;
  if (own) {
    options.say(`PostgreSQL: ${maskUrl(own)}, as configured`);
    const database = (name: string) => ensureDatabase(own, name);
    return { url: own, database, stop: nothingToDo, start: nothingToDo };
  }
  const server = await startPostgres({ dir, say: options.say, settings: options.postgresSettings });
  const url = await server.database(CONTROL_DATABASE);
  options.say(`PostgreSQL: embedded, port ${server.port}, data in ${server.dataDir}`);
  return { url, database: server.database, stop: server.stop, start: server.start };
}

async function temporalOf(options: StackOptions, dir: string): Promise<StackTemporal> {
  const { temporal, webUiUrl, cacheDir, environment } = options.config;
  const { address, namespace } = temporal;
  if (address) {
    options.say(`Temporal server: ${address}, as configured`);
    return { address, namespace, webUiUrl, stop: nothingToDo, start: nothingToDo };
  }
  const executable = await findTemporal({ cacheDir, environment, say: options.say });
  const server = await startTemporal({
    dir,
    executable,
    environment,
    namespace,
    say: options.say,
    extraArgs: options.temporalArgs,
  });
  options.say(`Temporal server: address ${server.address}, Web UI ${server.webUiUrl}`);
  return { ...server, webUiUrl: webUiUrl ?? server.webUiUrl };
}
