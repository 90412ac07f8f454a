import { setTimeout as delay } from 'node:timers/promises';

/**
 * Polls until the condition gives something truthy, and returns that. A condition that throws counts as not yet met.
 * @throws after `deadlineMs` (30 s), saying what was waited for and the last error.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { deadlineMs = 30_000, what }: { deadlineMs?: number; what: string },
): Promise<NonNullable<T>> {
  const deadline = Date.now() + deadlineMs;
  let lastError: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`Waited ${deadlineMs} ms in vain: ${what}`, { cause: lastError });
    }
    await delay(20);
  }
}
