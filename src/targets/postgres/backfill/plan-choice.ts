import type { Session } from '../../target.ts';

/**
 * Has joins look rows up by key until the end of the transaction. Undo joins a batch's keys, whose number the planner does
 * not know, with tables that may never have been analysed; left to itself it may scan all of them for each batch.
 */
export async function lookUpByKey(session: Session): Promise<void> {
  await session.query('SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off');
}

/**
 * Tells the planner how many rows the journal has of each backfill. Statistics from before a backfill know none of its rows,
 * and with them every batch of its undo would read all of them. Left to another time when somebody holds the table.
 */
export async function analyseJournal(session: Session): Promise<void> {
  await session.query('ANALYZE (SKIP_LOCKED) cutover.journal');
}

/** Leaves the choice to the planner again, for statements of the plan. */
export async function planFreely(session: Session): Promise<void> {
  await session.query('SET LOCAL enable_hashjoin TO DEFAULT; SET LOCAL enable_mergejoin TO DEFAULT');
}
