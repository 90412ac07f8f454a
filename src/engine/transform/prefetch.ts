import { readOnly } from '../../targets/postgres/backfill/savepoint.ts';
import type { Session } from '../../targets/target.ts';
import { idOf, type ReadQuery, type Transform, type TransformRow } from './definition.ts';
import { wordsOf } from './outcome.ts';

/** What all the rows need, fetched at once, in the session's transaction. @throws Error, which names the transform. */
export async function prefetch(
  session: Session,
  transform: Transform,
  rows: TransformRow[],
): Promise<unknown> {
  if (!transform.prefetch || rows.length === 0) return undefined;
  const query: ReadQuery = async <T>(text: string, values?: readonly unknown[]) =>
    (await session.query<T>(text, values)).rows;
  try {
    return await readOnly(session, () => unlessAborted(session, transform.prefetch?.(rows, query)));
  } catch (error) {
    session.signal?.throwIfAborted();
    throw prefetchFailure(transform, wordsOf(error), error);
  }
}

export function prefetchFailure(transform: Transform, message: string, cause: unknown): Error {
  return new Error(`the prefetch of transform ${idOf(transform)} failed: ${message}`, { cause });
}

/** What asks somebody else than the database, and gets no answer, must hold up neither a pause nor a rollback. */
async function unlessAborted<T>({ signal }: Session, work: Promise<T> | undefined): Promise<T | undefined> {
  if (!signal) return work;
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
