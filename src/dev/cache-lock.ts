import { closeSync, openSync, rmSync, statSync, utimesSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const HEARTBEAT_MS = 2_000;
const STALE_MS = 20_000;

/**
 * Does the work while holding a lock file, so that starts at the same time wait for the first one's result. The holder
 * touches the file; one that is no longer touched belongs to a start that was killed, and is taken over.
 * The lock only saves work: what it guards must be put in place by an atomic rename.
 * @param onWait called once, when somebody else holds the lock.
 */
export async function withLock<T>(path: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  let waiting = false;
  while (!tryCreate(path)) {
    if (!waiting) onWait();
    waiting = true;
    if (ageOf(path) > STALE_MS) rmSync(path, { force: true });
    else await delay(100);
  }
  const heartbeat = setInterval(() => touch(path), HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    rmSync(path, { force: true });
  }
}

function tryCreate(path: string): boolean {
  try {
    closeSync(openSync(path, 'wx', 0o600));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function ageOf(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? Date.now() - stat.mtimeMs : 0;
}

function touch(path: string): void {
  try {
    utimesSync(path, new Date(), new Date());
  } catch {
    // Taken over after a long suspension: both then finish, and the later rename wins.
  }
}
