import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { System } from './system.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** A worker in a process of its own, as `cutover worker` starts it, so that it can be killed. */
export function spawnWorker({ config }: System): {
  kill(): Promise<void>;
  terminate(): Promise<number | null>;
} {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'worker'], {
    env: {
      ...process.env,
      CUTOVER_DATABASE_URL: config.databaseUrl,
      CUTOVER_TEMPORAL_ADDRESS: config.temporal.address,
      CUTOVER_TEMPORAL_NAMESPACE: config.temporal.namespace,
      CUTOVER_TARGETS: JSON.stringify(config.targets),
      CUTOVER_TRANSFORMS: config.transforms.join(','),
      CUTOVER_LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    const [code] = await exited;
    return code;
  };
  return {
    kill: async () => {
      await end('SIGKILL');
    },
    terminate: () => end('SIGTERM'),
  };
}
