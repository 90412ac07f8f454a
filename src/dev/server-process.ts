import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export type ServerProcessOptions = {
  command: string;
  args: string[];
  /** Receives both output streams; rewritten at each start. A file outlives its reader, a pipe does not. */
  logFile: string;
  cwd: string;
  env: NodeJS.ProcessEnv;
  user?: { uid: number; gid: number } | undefined;
  /** Sent when this process ends without having stopped the server, so that none is left behind. */
  exitSignal: NodeJS.Signals;
};

/** A server running as a child of this process. */
export type ServerProcess = {
  pid: number;
  /** Resolves when the process has ended, with how it ended in words. Never rejects. */
  ended: Promise<string>;
  hasEnded(): boolean;
};

/**
 * Starts a server in a process group of its own: Ctrl+C in a terminal reaches the whole foreground group, and the
 * servers must outlive the worker and the API that still drain on them.
 * @throws when the command cannot be executed.
 */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const log = openSync(options.logFile, 'w', 0o600);
  const child = spawn(options.command, options.args, {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: options.cwd,
    env: options.env,
    ...options.user,
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${options.command} started without a process id`);
  const guard = startGuard(pid, options.exitSignal);
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, killedBy) => {
      guard.kill('SIGKILL');
      resolve(killedBy ? `was ended by ${killedBy}` : `exited with code ${code}`);
    });
  });
  return { pid, ended, hasEnded: () => hasEnded(child) };
}

/**
 * A shell that waits for its input to end, which happens when this process does, by whatever means, and then signals
 * the server. Exit handlers would not do: they do not run when a process is killed or its terminal closed.
 */
function startGuard(pid: number, exitSignal: NodeJS.Signals): ChildProcess {
  const script = `read -r _; kill -s ${exitSignal.replace('SIG', '')} ${pid}`;
  const guard = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  // Without a shell there is no guard, which is no reason not to serve.
  guard.once('error', () => undefined);
  guard.unref();
  return guard;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/**
 * Ends a process: `first` lets it finish in order, `last` follows when it still runs after `graceMs`.
 * Works for processes that are not children of this one. Resolves when it is gone.
 * @throws when it survives both.
 */
export async function endProcess(
  pid: number,
  { first, last, graceMs }: { first: NodeJS.Signals; last: NodeJS.Signals; graceMs: number },
): Promise<void> {
  for (const next of [first, last]) {
    signal(pid, next);
    const deadline = Date.now() + graceMs;
    while (isAlive(pid) && Date.now() < deadline) await delay(20);
    if (!isAlive(pid)) return;
  }
  throw new Error(`Process ${pid} still runs after ${first} and ${last}; end it by hand, then start again.`);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Whether a process of that id runs; one that has exited and waits to be collected does not count. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return commandLineOf(pid) !== '';
}

/** The command line of a running process, its words separated by spaces; empty when there is no such process. */
export function commandLineOf(pid: number): string {
  try {
    if (process.platform === 'linux') {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    }
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return '';
  }
}

/** A port on the loopback interface that was free a moment ago. */
export async function freePort(preferred = 0): Promise<number> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port: preferred, host: '127.0.0.1', exclusive: true }, resolve);
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port was given');
    return address.port;
  } catch (error) {
    if (preferred === 0) throw error;
    return freePort();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

/** The end of a server's log, for an error message. */
export function tailOf(logFile: string, lines = 15): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '(no log)';
  }
}
