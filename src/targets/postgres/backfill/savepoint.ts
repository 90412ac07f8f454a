import type { Session } from '../../target.ts';

/** Runs the work so that its failure leaves the transaction usable and as it was before. */
export async function withSavepoint<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.query('SAVEPOINT cutover_attempt');
  try {
    const result = await work();
    await session.query('RELEASE SAVEPOINT cutover_attempt');
    return result;
  } catch (error) {
    await undo(session);
    throw error;
  }
}

/** Runs the work so that none of its statements can write, and nothing of it remains. */
export async function readOnly<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.query('SAVEPOINT cutover_attempt; SET TRANSACTION READ ONLY');
  try {
    return await work();
  } finally {
    await undo(session);
  }
}

/** On a connection that is gone this fails as well; what made it fail first says more. */
async function undo(session: Session): Promise<void> {
  await session
    .query('ROLLBACK TO SAVEPOINT cutover_attempt; RELEASE SAVEPOINT cutover_attempt')
    .catch(() => undefined);
}
