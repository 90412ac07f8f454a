import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export type Child = {
  /** All that it has said on both streams so far. */
  output(): string;
  /** Resolves to its exit code, or the signal that ended it, when it has ended. */
  ended: Promise<number | NodeJS.Signals>;
  /** Asks it to stop, as Ctrl-C or a container's end would; nothing happens when it has ended. */
  stop(signal?: NodeJS.Signals): void;
};

/** Starts a command in the checkout as a process of its own. */
export function startProcess(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Child {
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that a signal reaches all that the command has started in it.
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'SIGKILL'));
  });
  return {
    output: () => output,
    ended,
    stop(signal = 'SIGTERM') {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      process.kill(-child.pid, signal);
    },
  };
}

/** Starts `cutover` as a process of its own. */
export function startCutover(args: string[], env: NodeJS.ProcessEnv = {}): Child {
  return startProcess(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], env);
}
