import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const TRANSFORMS = fileURLToPath(new URL('./transform.ts', import.meta.url));

export type WorkerProcess = {
  /** The most memory that the process ever had, in bytes. */
  peakMemory(): number;
  stop(): Promise<void>;
};

/** A worker as `cutover worker` starts it; resolves when it serves. */
export async function startWorkerProcess(servers: {
  environment: NodeJS.ProcessEnv;
  databaseUrl: string;
  address: string;
  namespace: string;
  targetUrl: string;
}): Promise<WorkerProcess> {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'worker'], {
    env: {
      ...servers.environment,
      CUTOVER_DATABASE_URL: servers.databaseUrl,
      CUTOVER_TEMPORAL_ADDRESS: servers.address,
      CUTOVER_TEMPORAL_NAMESPACE: servers.namespace,
      CUTOVER_TARGETS: JSON.stringify({ app: { url: servers.targetUrl } }),
      CUTOVER_TRANSFORMS: TRANSFORMS,
      CUTOVER_LOG_LEVEL: 'info',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  await started(child.stdout, child.stderr, exited);
  return {
    peakMemory: () => peakMemoryOf(child.pid ?? 0),
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

async function started(
  stdout: NodeJS.ReadableStream,
  stderr: NodeJS.ReadableStream,
  exited: Promise<unknown>,
): Promise<void> {
  let said = '';
  const serving = new Promise<void>((resolve) => {
    for (const stream of [stdout, stderr]) {
      stream.on('data', (chunk: Buffer) => {
        if (said.length < 10_000) said += chunk.toString();
        if (said.includes('worker started')) resolve();
      });
    }
  });
  const died = exited.then(() => {
    throw new Error(`the worker ended before it served:\n${said}`);
  });
  await Promise.race([serving, died]);
  died.catch(() => {});
}

/** Linux keeps it for each process; elsewhere there is no such figure. */
function peakMemoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
  if (kilobytes === undefined) throw new Error(`process ${pid} does not tell its peak memory`);
  return Number(kilobytes) * 1_024;
}
