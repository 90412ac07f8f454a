/** How many lanes of a backfill work on a target, and how many more would if they might. */
export type Demand = { backfill: string; working: number; waiting: number };

export type SeatRules = {
  /** Lanes that may work on the target at once, of all backfills together. */
  budget: number;
  /** Lanes of this backfill that may, as far as its own load control is concerned; null for any number. */
  allowed: number | null;
  /** Rises every so often. Where the budget does not go round evenly, the odd seats move on with it. */
  turn: number;
};

/** What a lane is to do: `stand-by` as its own backfill may not use more lanes, `wait` as others are to be let in. */
export type Seat = 'work' | 'wait' | 'stand-by';

/**
 * Decides for one lane. The budget is shared max-min: each backfill gets as much of it as it can use, up to an equal share,
 * and what some don't use goes to the others. A lane above its backfill's share gives way at its next look, but only where
 * another one waits; with fewer seats than backfills they take turns. So none is starved, whoever came first.
 * @param seat what the lane is doing now; null when it is new.
 * @param demands of all backfills, this lane counted in its own.
 */
export function seatFor(
  mine: string,
  seat: Seat | null,
  demands: readonly Demand[],
  { budget, allowed, turn }: SeatRules,
): Seat {
  const { working, waiting } = demands.find(({ backfill }) => backfill === mine) ?? {
    working: 0,
    waiting: 0,
  };
  const most = allowed ?? Number.POSITIVE_INFINITY;
  if (seat === 'work' ? working > most : working >= most) return 'stand-by';
  const asking = seat === 'work' || seat === 'wait' ? 0 : 1;
  const wanted = Math.min(working + waiting + asking, most);
  const others = demands.filter(({ backfill }) => backfill !== mine);
  const share = shares(
    budget,
    [
      ...others.map((other) => ({ ...other, wanted: other.working + other.waiting })),
      { backfill: mine, wanted },
    ],
    turn,
  ).get(mine);
  if (share === undefined) return 'wait';
  if (seat === 'work') return working > share ? 'wait' : 'work';
  const taken = others.reduce((sum, other) => sum + other.working, working);
  return taken < budget && working < share ? 'work' : 'wait';
}

/** Gives the seats out one by one, to each in turn who still wants one. */
function shares(
  budget: number,
  claims: readonly { backfill: string; wanted: number }[],
  turn: number,
): Map<string, number> {
  const sorted = [...claims].sort((a, b) => (a.backfill < b.backfill ? -1 : 1));
  const first = turn % sorted.length;
  const order = [...sorted.slice(first), ...sorted.slice(0, first)];
  const given = new Map(order.map(({ backfill }) => [backfill, 0]));
  for (let left = budget, served = true; left > 0 && served; ) {
    served = false;
    for (const { backfill, wanted } of order) {
      const share = given.get(backfill) ?? 0;
      if (left === 0 || share >= wanted) continue;
      given.set(backfill, share + 1);
      left -= 1;
      served = true;
    }
  }
  return given;
}
