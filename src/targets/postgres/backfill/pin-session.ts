import type { Session } from '../../target.ts';

/**
 * Makes the text of every value the same on every server and role, so that text taken in one batch casts back exactly
 * in another; and has deferred constraints checked with the statement, where a failing row can still be told.
 * Lasts until the end of the transaction.
 */
export async function pinSession(session: Session): Promise<void> {
  await session.query(
    `SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres';
     SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET CONSTRAINTS ALL IMMEDIATE`,
  );
}
