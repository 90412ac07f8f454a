import type { Session } from '../../target.ts';

const SETTINGS = ['enable_hashjoin', 'enable_mergejoin', 'enable_sort', 'enable_bitmapscan', 'jit'];

/**
 * Has joins look rows up by key, and lists come in the order of an index, until the end of the transaction. Undo goes through
 * tables that grow and empty faster than they are analysed; left to itself the planner may read all of them for each batch.
 * Can be a transaction's prelude.
 */
export const LOOK_UP_BY_KEY = SETTINGS.map((name) => `SET LOCAL ${name} = off`).join('; ');

/** Leaves the choice to the planner while a statement of the plan runs. */
export async function planFreely<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.query(SETTINGS.map((name) => `SET LOCAL ${name} TO DEFAULT`).join('; '));
  const result = await work();
  await session.query(LOOK_UP_BY_KEY);
  return result;
}
