import { setImmediate } from 'node:timers/promises';
import { TransformTooSlow } from '../errors.ts';

/** So long a batch may keep other lanes, heartbeats and answers of the database waiting. */
const BREATH_MS = 2;
/** The clock is asked once for so many rows. */
const ROWS_PER_LOOK = 32;
/** No batch may be derived for longer: what was read grows old, and the lane's lease with it. */
export const MOST_MS = 30_000;

/**
 * To be called between the rows of a batch that is derived on the main thread: lets others have their turn now and then.
 * @throws the signal's reason when it has aborted, or TransformTooSlow when the batch takes too long.
 */
export function breather(signal: AbortSignal | undefined): () => Promise<void> | undefined {
  const look = slownessGuard();
  let breathed = performance.now();
  return () => {
    const now = look();
    if (now === undefined || now - breathed < BREATH_MS) return undefined;
    return setImmediate().then(() => {
      signal?.throwIfAborted();
      breathed = performance.now();
    });
  };
}

/**
 * To be called between the rows of a batch; looks at the clock now and then, and returns what it says.
 * @throws TransformTooSlow when the batch takes too long.
 */
export function slownessGuard(): () => number | undefined {
  const started = performance.now();
  let rows = 0;
  return () => {
    rows += 1;
    if (rows % ROWS_PER_LOOK !== 0) return undefined;
    const now = performance.now();
    if (now - started > MOST_MS) throw new TransformTooSlow(MOST_MS);
    return now;
  };
}
