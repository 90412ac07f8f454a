import { storableJson } from '../../../domain/storable.ts';
import type { Session } from '../../target.ts';
import type { Key } from '../backfill/table.ts';

/** What was found differing and is looked at again before that counts. */
export type Suspect = {
  key: Key;
  /** It is a copy without a row, of the key that such a row would have. */
  surplus: boolean;
  /** What the row was like when it was last found so. */
  state: string;
  /** Milliseconds since it was looked at again for the first time. */
  ageMs: number;
  /** Number of the look that is under way. */
  looks: number;
};

const GIVEN = `SELECT ARRAY(SELECT jsonb_array_elements_text(asked -> 'key')) AS key,
                      (asked ->> 'surplus')::boolean AS surplus, asked
                 FROM jsonb_array_elements($2::jsonb) AS asked`;
const IS_GIVEN = 'verification = $1 AND suspect.key = given.key AND suspect.surplus = given.surplus';

/** Notes rows that were found differing, to be looked at again after so many milliseconds. */
export async function insertSuspects(
  session: Session,
  verification: string,
  runId: string,
  found: readonly Pick<Suspect, 'key' | 'surplus' | 'state'>[],
  afterMs: number,
): Promise<void> {
  if (found.length === 0) return;
  await session.query(
    `INSERT INTO cutover.suspect (verification, run_id, key, surplus, state, look_at)
     SELECT $1, $3, key, surplus, asked ->> 'state', clock_timestamp() + $4 * interval '1 ms' FROM (${GIVEN}) AS given`,
    [
      verification,
      storableJson(found.map(({ key, surplus, state }) => ({ key, surplus, state }))),
      runId,
      afterMs,
    ],
  );
}

/**
 * Takes suspects that are due, oldest first.
 * @param leaseMs unless they are dealt with before, others may take them after so many milliseconds.
 */
export async function takeDueSuspects(
  session: Session,
  verification: string,
  limit: number,
  leaseMs: number,
): Promise<Suspect[]> {
  const { rows } = await session.query<Suspect>(
    `UPDATE cutover.suspect SET looks = looks + 1, first_look_at = coalesce(first_look_at, clock_timestamp()),
            look_at = clock_timestamp() + $3 * interval '1 ms'
      WHERE ctid = ANY (ARRAY(
              SELECT ctid FROM cutover.suspect
               WHERE verification = $1 AND NOT confirmed AND look_at <= clock_timestamp()
               ORDER BY look_at LIMIT $2 FOR UPDATE SKIP LOCKED))
     RETURNING key, surplus, state, looks,
               (extract(epoch FROM clock_timestamp() - first_look_at) * 1000)::float8 AS "ageMs"`,
    [verification, limit, leaseMs],
  );
  return rows;
}

/** Takes suspects off the list; returns those that nobody else has dealt with in the meantime. */
export async function settleSuspects(
  session: Session,
  verification: string,
  suspects: readonly Pick<Suspect, 'key' | 'surplus' | 'looks'>[],
): Promise<Pick<Suspect, 'key' | 'surplus'>[]> {
  if (suspects.length === 0) return [];
  const { rows } = await session.query<Pick<Suspect, 'key' | 'surplus'>>(
    `DELETE FROM cutover.suspect USING (${GIVEN}) AS given
      WHERE ${IS_GIVEN} AND looks = (asked ->> 'looks')::int AND NOT confirmed
     RETURNING suspect.key, suspect.surplus`,
    [verification, storableJson(suspects)],
  );
  return rows;
}

/** Has suspects looked at again after so many milliseconds. */
export async function postponeSuspects(
  session: Session,
  verification: string,
  suspects: readonly (Pick<Suspect, 'key' | 'surplus' | 'looks' | 'state'> & { afterMs: number })[],
): Promise<void> {
  if (suspects.length === 0) return;
  await session.query(
    `UPDATE cutover.suspect
        SET state = asked ->> 'state', look_at = clock_timestamp() + (asked ->> 'afterMs')::float8 * interval '1 ms'
       FROM (${GIVEN}) AS given
      WHERE ${IS_GIVEN} AND looks = (asked ->> 'looks')::int AND NOT confirmed`,
    [verification, storableJson(suspects)],
  );
}

/** Marks suspects that differ for good. */
export async function confirmSuspects(
  session: Session,
  verification: string,
  suspects: readonly Pick<Suspect, 'key' | 'surplus' | 'looks'>[],
): Promise<void> {
  if (suspects.length === 0) return;
  await session.query(
    `UPDATE cutover.suspect SET confirmed = true, look_at = clock_timestamp() FROM (${GIVEN}) AS given
      WHERE ${IS_GIVEN} AND looks = (asked ->> 'looks')::int`,
    [verification, storableJson(suspects)],
  );
}

/** Takes confirmed suspects that are due; nobody else does until the transaction ends. */
export async function takeConfirmed(session: Session, verification: string, limit: number): Promise<Key[]> {
  const { rows } = await session.query<{ key: Key }>(
    `SELECT key FROM cutover.suspect
      WHERE verification = $1 AND confirmed AND look_at <= clock_timestamp()
      ORDER BY look_at LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [verification, limit],
  );
  return rows.map(({ key }) => key);
}

/** Puts confirmed suspects off by so many milliseconds, and takes the others that were taken off the list. */
export async function finishConfirmed(
  session: Session,
  verification: string,
  keys: { settled: readonly Key[]; putOff: readonly Key[]; afterMs: number },
): Promise<void> {
  const asked = (list: readonly Key[]) => storableJson(list.map((key) => ({ key, surplus: false })));
  await session.query(`DELETE FROM cutover.suspect USING (${GIVEN}) AS given WHERE ${IS_GIVEN}`, [
    verification,
    asked(keys.settled),
  ]);
  if (keys.putOff.length === 0) return;
  await session.query(
    `UPDATE cutover.suspect SET look_at = clock_timestamp() + $3 * interval '1 ms' FROM (${GIVEN}) AS given
      WHERE ${IS_GIVEN}`,
    [verification, asked(keys.putOff), keys.afterMs],
  );
}
