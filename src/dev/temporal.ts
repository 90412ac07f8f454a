import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../contracts/names.ts';
import { type Server, type ServerSpec, startServer } from './server.ts';
import { commandLineOf, endProcess } from './server-process.ts';

export type TemporalDevOptions = {
  /** Holds the server's state; one process at a time may use it. Created when missing, kept when stopped. */
  dir: string;
  /** The `temporal` command; see findTemporal. */
  executable: string;
  say: (line: string) => void;
  environment: NodeJS.ProcessEnv;
  namespace?: string | undefined;
  /** More arguments of `temporal server start-dev`. */
  extraArgs?: readonly string[] | undefined;
};

/** A Temporal dev server of our own, its Web UI included. */
export type TemporalDevServer = Omit<Server, 'ports'> & {
  /** host:port of the gRPC frontend. */
  readonly address: string;
  readonly namespace: string;
  readonly webUiUrl: string;
  readonly logFile: string;
};

const STOP = { first: 'SIGTERM', last: 'SIGKILL' } as const;

/** Starts a Temporal dev server on free ports of the loopback interface and resolves when its namespace answers. */
export async function startTemporal(options: TemporalDevOptions): Promise<TemporalDevServer> {
  const dir = resolve(options.dir);
  mkdirSync(dir, { recursive: true });
  const namespace = options.namespace ?? 'default';
  const logFile = join(dir, 'temporal.log');
  const database = join(dir, 'temporal.db');
  const pidFile = join(dir, 'temporal.pid');
  const spec = temporalSpec({ ...options, dir, namespace }, { logFile, database, pidFile });
  const { ports, ...server } = await startServer(spec);
  return {
    ...server,
    address: `127.0.0.1:${ports[0]}`,
    webUiUrl: `http://127.0.0.1:${ports[1]}`,
    namespace,
    logFile,
  };
}

type Files = { logFile: string; database: string; pidFile: string };

function temporalSpec(options: TemporalDevOptions & { namespace: string }, files: Files): ServerSpec {
  return {
    name: `The Temporal server in ${options.dir}`,
    portCount: 2,
    command: ([port, uiPort]) => ({
      command: options.executable,
      args: [
        ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--ui-port', String(uiPort)],
        ...['--db-filename', files.database, '--namespace', options.namespace, '--log-level', 'warn'],
        ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
        ...(options.extraArgs ?? []),
      ],
      logFile: files.logFile,
      cwd: options.dir,
      env: options.environment,
    }),
    onSpawn: (pid) => writeFileSync(files.pidFile, `${pid}\n`),
    probe: ([port]) => probe(`127.0.0.1:${port}`, options.namespace),
    passingFault: /address already in use|database is locked/i,
    endLeftover: () => endLeftover(files, options.say),
    stop: STOP,
  };
}

async function probe(address: string, namespace: string): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: 2_000 });
  try {
    await connection.workflowService.describeNamespace({ namespace });
  } finally {
    await connection.close();
  }
}

async function endLeftover({ pidFile, database }: Files, say: (line: string) => void): Promise<void> {
  const pid = readPid(pidFile);
  // The id may have been given to some other program since.
  if (!pid || !commandLineOf(pid).includes(database)) return;
  say(`Stopping the Temporal server (process ${pid}) that an earlier start left on ${database}`);
  await endProcess(pid, { ...STOP, graceMs: 10_000 });
}

function readPid(pidFile: string): number {
  try {
    return Number(readFileSync(pidFile, 'utf8'));
  } catch {
    return 0;
  }
}
