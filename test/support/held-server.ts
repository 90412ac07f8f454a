import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./hold-server.ts', import.meta.url));

/** A server that a process of its own has started. */
export type HeldServer = {
  pid: number;
  /** Kills the process that started it, so that it cannot clean up. */
  killHolder(): Promise<void>;
  /** Lets that process exit without stopping the server. */
  exitHolder(): Promise<void>;
};

export async function holdServer(kind: 'postgres' | 'temporal', ...args: string[]): Promise<HeldServer> {
  const holder = spawn(process.execPath, ['--import', 'tsx', SCRIPT, kind, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(holder, 'exit');
  const [line] = await Promise.race([
    once(holder.stdout, 'data'),
    exited.then(() => Promise.reject(new Error(`the process that starts ${kind} has ended`))),
  ]);
  return {
    pid: Number(String(line)),
    async killHolder() {
      holder.kill('SIGKILL');
      await exited;
    },
    async exitHolder() {
      holder.stdin.end();
      await exited;
    },
  };
}
