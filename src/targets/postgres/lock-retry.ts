import { setTimeout as pause } from 'node:timers/promises';
import { describeSqlError, sqlState } from './errors.ts';

export type LockPolicy = {
  /** Longest wait for a lock, per attempt. */
  lockTimeoutMs: number;
  lockAttempts: number;
  signal?: AbortSignal | undefined;
  /** Hears of each attempt that did not get its lock, before the pause that follows. */
  onRetry?: ((retry: LockRetry) => void) | undefined;
  /** Evenly distributed in [0, 1); given by tests. */
  random?: (() => number) | undefined;
};

export type LockRetry = { attempt: number; attempts: number; pauseMs: number; reason: string };

const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK_DETECTED = '40P01';
const LONGEST_PAUSE_MS = 30_000;

/**
 * Tries until the work gets its locks, at most `lockAttempts` times. Between attempts the sessions that queued behind it
 * run on; the pauses are jittered so that several runs don't come back together.
 * @throws the work's last error; the signal's reason when aborted in a pause.
 */
export async function retryForLock<T>(policy: LockPolicy, work: () => Promise<T>): Promise<T> {
  const { lockAttempts: attempts, signal, random = Math.random } = policy;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted || attempt >= attempts || !isLockFailure(error)) throw error;
      const pauseMs = pauseAfter(attempt, policy.lockTimeoutMs, random());
      policy.onRetry?.({ attempt, attempts, pauseMs, reason: describeSqlError(error) });
      await pause(pauseMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}

export function isLockFailure(error: unknown): boolean {
  const state = sqlState(error);
  return state === LOCK_NOT_AVAILABLE || state === DEADLOCK_DETECTED;
}

/** As long as the wait for the lock, doubling, and between half and all of that. */
export function pauseAfter(attempt: number, lockTimeoutMs: number, random: number): number {
  const longest = Math.min(LONGEST_PAUSE_MS, lockTimeoutMs * 2 ** (attempt - 1));
  return Math.round(longest * (0.5 + random / 2));
}
