import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StillBusyError } from '../../../src/targets/postgres/errors.ts';
import { pauseAfter, retryForLock } from '../../../src/targets/postgres/lock-retry.ts';

const busy = () => Promise.reject(new StillBusyError('somebody is at it'));

test('an abort ends the pause between two attempts with its reason', async () => {
  const abort = new AbortController();
  const reason = new Error('stop');
  const started = performance.now();
  const work = retryForLock(
    {
      lockTimeoutMs: 60_000,
      lockAttempts: 2,
      signal: abort.signal,
      onRetry: ({ pauseMs }) => {
        expect(pauseMs).toBeGreaterThanOrEqual(15_000);
        abort.abort(reason);
      },
    },
    busy,
  );
  await expect(work).rejects.toBe(reason);
  expect(performance.now() - started).toBeLessThan(10_000);
});

test('other errors are not tried again', async () => {
  let attempts = 0;
  const work = retryForLock({ lockTimeoutMs: 1, lockAttempts: 5 }, () => {
    attempts += 1;
    return Promise.reject(new Error('no lock'));
  });
  await expect(work).rejects.toThrow('no lock');
  expect(attempts).toBe(1);
});

test('the last of the attempts throws its error', async () => {
  let attempts = 0;
  const work = retryForLock({ lockTimeoutMs: 1, lockAttempts: 3 }, () => {
    attempts += 1;
    return busy();
  });
  await expect(work).rejects.toThrow('somebody is at it');
  expect(attempts).toBe(3);
});

test('pauses grow up to half a minute and never reach beyond', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2_000 }),
      fc.integer({ min: 1, max: 600_000 }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (attempt, lockTimeoutMs, random) => {
        const pause = pauseAfter(attempt, lockTimeoutMs, random);
        expect(pause).toBeLessThanOrEqual(30_000);
        expect(pauseAfter(attempt + 1, lockTimeoutMs, random)).toBeGreaterThanOrEqual(pause);
      },
    ),
  );
});
