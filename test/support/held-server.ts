import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./hold-server.ts', import.meta.url));

/** A server that a process of its own has started. */
export type HeldServer = {
  pid: number;
  /** Kills the process that started it. */
  killHolder(): Promise<void>;
  /** Kills that process and whatever else it has started beside the server, so that nothing can clean up. */
  killHolderAndGuards(): Promise<void>;
};

export async function holdServer(kind: 'postgres' | 'temporal', ...args: string[]): Promise<HeldServer> {
  const holder = spawn(process.execPath, ['--import', 'tsx', SCRIPT, kind, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(holder, 'exit');
  const [line] = await Promise.race([
    once(holder.stdout, 'data'),
    exited.then(() => Promise.reject(new Error(`the process that starts ${kind} has ended`))),
  ]);
  const pid = Number(String(line));
  return {
    pid,
    async killHolder() {
      holder.kill('SIGKILL');
      await exited;
    },
    async killHolderAndGuards() {
      const children = execFileSync('pgrep', ['-P', String(holder.pid)], { encoding: 'utf8' });
      for (const child of children.trim().split('\n').map(Number)) {
        if (child !== pid) process.kill(child, 'SIGKILL');
      }
      holder.kill('SIGKILL');
      await exited;
    },
  };
}
