import { type Seat, seatFor } from '../../domain/fair-share.ts';
import { sqlState } from '../../targets/postgres/errors.ts';
import {
  hideSeat,
  lockSeats,
  readSeats,
  type ShownSeat,
  showSeat,
} from '../../targets/postgres/load/lane-locks.ts';
import type { HeldSession, Session } from '../../targets/target.ts';

export type SeatRequest = {
  /** Lanes that may work on the target at once, of all runs and workers together. */
  budget: number;
  /** Lanes of this backfill that its own load control allows; null for any number. */
  allowed: number | null;
};

const LOCK_NOT_AVAILABLE = '55P03';

/**
 * One lane's seat among all lanes that work on a target, of whatever run and worker. Seats are shown by advisory locks on the
 * lane's own connection, so they come free by themselves when it breaks; who gets one is decided by {@link seatFor}.
 */
export class LaneSeat {
  readonly #backfill: string;
  #seat: Seat | null = null;

  constructor(backfill: string) {
    this.#backfill = backfill;
  }

  /** Looks whether the lane may work, or go on working, and takes or gives up its seat accordingly. */
  async ask(session: HeldSession, request: SeatRequest): Promise<Seat> {
    const wanted = await this.#decide(session, request);
    if (wanted === this.#seat) return wanted;
    try {
      // Giving up a seat only makes room, but two lanes that both give up theirs may make more of it than is needed.
      return await session.transaction(async (transaction) => {
        await lockSeats(transaction);
        const seat = await this.#decide(transaction, request);
        await this.#change(transaction, seat);
        return seat;
      });
    } catch (error) {
      // Whoever changes its seat is stuck; all stay as they are for now.
      if (sqlState(error) === LOCK_NOT_AVAILABLE) return this.#seat ?? 'stand-by';
      throw error;
    }
  }

  /** Gives up whatever the lane has, as it will not work for a while whoever else does. */
  async leave(session: Session): Promise<void> {
    await this.#change(session, 'stand-by');
  }

  async #decide(session: Session, { budget, allowed }: SeatRequest): Promise<Seat> {
    const { mine, turn, demands } = await readSeats(session, this.#backfill);
    return seatFor(mine, this.#seat, demands, { budget, allowed, turn });
  }

  async #change(session: Session, seat: Seat): Promise<void> {
    const before = this.#seat;
    if (before === seat) return;
    if (isShown(seat)) await showSeat(session, this.#backfill, seat);
    this.#seat = seat;
    if (isShown(before)) await hideSeat(session, this.#backfill, before);
  }
}

function isShown(seat: Seat | null): seat is ShownSeat {
  return seat === 'work' || seat === 'wait';
}

/** How many lanes of the backfill work and wait, and how many other backfills do either. */
export async function readDemand(
  session: Session,
  backfill: string,
): Promise<{ working: number; waiting: number; others: number }> {
  const { mine, demands } = await readSeats(session, backfill);
  const { working, waiting } = demands.find((demand) => demand.backfill === mine) ?? {
    working: 0,
    waiting: 0,
  };
  return { working, waiting, others: demands.filter((demand) => demand.backfill !== mine).length };
}
