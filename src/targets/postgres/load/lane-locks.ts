import type { Demand } from '../../../domain/fair-share.ts';
import type { Session } from '../../target.ts';
import { THIS_DATABASE } from './table-tree.ts';

/*
 * Every lane shows what it is doing by an advisory lock of its session, shared with the other lanes of its backfill and named
 * by a number for what it does and one for the backfill. Such a lock goes with the session: a lane that is killed, or whose
 * worker or network is gone, leaves nothing behind that anybody would have to clean up.
 */

/** First numbers of the locks: 'cut' and a digit, so that hardly anybody else uses them. */
export const LANE_AT_WORK = 0x63757431;
const LANE_WAITING = 0x63757432;
const SEAT_CHANGE = 0x63757433;

const FIRST_NUMBER = { work: LANE_AT_WORK, wait: LANE_WAITING } as const;

export type ShownSeat = keyof typeof FIRST_NUMBER;

/** Seconds after which the odd seats of a budget go on to the next backfill. */
const TURN_SECONDS = 30;

/** What the lanes of each backfill on this database are doing, and whose turn it is. */
export async function readSeats(
  session: Session,
  backfill: string,
): Promise<{ mine: string; turn: number; demands: Demand[] }> {
  const { rows } = await session.query<{ mine: string; turn: number; demands: Demand[] }>(SEATS, [backfill]);
  const [found] = rows;
  if (!found) throw new Error('the server answered a query of one row with none');
  return found;
}

const SEATS = `
  SELECT hashtext($1)::oid::text AS mine,
         floor(extract(epoch FROM clock_timestamp()) / ${TURN_SECONDS})::int AS turn,
         (SELECT coalesce(json_agg(seats), '[]') FROM (
            SELECT objid::text AS backfill,
                   count(*) FILTER (WHERE classid = ${LANE_AT_WORK})::int AS working,
                   count(*) FILTER (WHERE classid = ${LANE_WAITING})::int AS waiting
              FROM pg_locks
             WHERE locktype = 'advisory' AND classid IN (${LANE_AT_WORK}, ${LANE_WAITING}) AND objsubid = 2
               AND database = ${THIS_DATABASE}
             GROUP BY objid) AS seats) AS demands`;

/** Has whoever else wants to change its seat wait until the end of the transaction. */
export async function lockSeats(session: Session): Promise<void> {
  await session.query(`SELECT pg_advisory_xact_lock(${SEAT_CHANGE}, 0)`);
}

/** Shows from now on, until it is taken back or the session ends, what the lane is doing. */
export async function showSeat(session: Session, backfill: string, seat: ShownSeat): Promise<void> {
  await session.query(`SELECT pg_advisory_lock_shared(${FIRST_NUMBER[seat]}, hashtext($1))`, [backfill]);
}

export async function hideSeat(session: Session, backfill: string, seat: ShownSeat): Promise<void> {
  await session.query(`SELECT pg_advisory_unlock_shared(${FIRST_NUMBER[seat]}, hashtext($1))`, [backfill]);
}
