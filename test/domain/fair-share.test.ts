import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Demand, type Seat, seatFor } from '../../src/domain/fair-share.ts';

type Lane = { backfill: string; seat: Seat | null };

const demandsOf = (lanes: readonly Lane[]): Demand[] =>
  [...new Set(lanes.map(({ backfill }) => backfill))].map((backfill) => ({
    backfill,
    working: lanes.filter((lane) => lane.backfill === backfill && lane.seat === 'work').length,
    waiting: lanes.filter((lane) => lane.backfill === backfill && lane.seat === 'wait').length,
  }));

const workingOf = (lanes: readonly Lane[], backfill: string) =>
  demandsOf(lanes).find((demand) => demand.backfill === backfill)?.working ?? 0;

/** Lets every lane look, one after the other, until nobody changes any more. */
function settle(lanes: Lane[], rules: { budget: number; turn?: number; allowed?: Record<string, number> }) {
  for (let round = 0; round < 10; round += 1) {
    let changed = false;
    for (const lane of lanes) {
      const before = lane.seat;
      lane.seat = seatFor(lane.backfill, lane.seat, demandsOf(lanes), {
        budget: rules.budget,
        allowed: rules.allowed?.[lane.backfill] ?? null,
        turn: rules.turn ?? 0,
      });
      expect(lanes.filter(({ seat }) => seat === 'work').length).toBeLessThanOrEqual(rules.budget);
      changed ||= lane.seat !== before;
    }
    if (!changed) return lanes;
  }
  throw new Error('the lanes never come to rest');
}

const lanesOf = (counts: Record<string, number>): Lane[] =>
  Object.entries(counts).flatMap(([backfill, count]) =>
    Array.from({ length: count }, () => ({ backfill, seat: null })),
  );

describe('the budget of a target', () => {
  it('is used up by one backfill alone, and shared as soon as another one comes', () => {
    const lanes = settle(lanesOf({ a: 6 }), { budget: 4 });
    expect(workingOf(lanes, 'a')).toBe(4);
    const both = settle([...lanes, ...lanesOf({ b: 4 })], { budget: 4 });
    expect([workingOf(both, 'a'), workingOf(both, 'b')]).toEqual([2, 2]);
  });

  it('goes to those who can use it: what a small backfill leaves, a large one gets', () => {
    const lanes = settle(lanesOf({ a: 8, b: 1 }), { budget: 4 });
    expect([workingOf(lanes, 'a'), workingOf(lanes, 'b')]).toEqual([3, 1]);
  });

  it('lets backfills take turns when there are more of them than seats', () => {
    let lanes = lanesOf({ a: 1, b: 1, c: 1 });
    const at = new Set<string>();
    for (let turn = 0; turn < 3; turn += 1) {
      lanes = settle(lanes, { budget: 1, turn });
      at.add(lanes.find(({ seat }) => seat === 'work')?.backfill ?? 'nobody');
    }
    expect(at).toEqual(new Set(['a', 'b', 'c']));
  });

  it('is not claimed by lanes that their own load control keeps back', () => {
    const lanes = settle(lanesOf({ a: 4, b: 4 }), { budget: 4, allowed: { a: 1 } });
    expect([workingOf(lanes, 'a'), workingOf(lanes, 'b')]).toEqual([1, 3]);
    expect(lanes.filter(({ backfill, seat }) => backfill === 'a' && seat === 'stand-by')).toHaveLength(3);
  });

  it('takes lanes away from a backfill that may use fewer from now on', () => {
    const lanes = settle(lanesOf({ a: 4 }), { budget: 4 });
    expect(workingOf(settle(lanes, { budget: 4, allowed: { a: 2 } }), 'a')).toBe(2);
  });

  it('whatever the demand: is never exceeded, never idle while one waits, and nobody has two more than one that waits', () => {
    const counts = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.integer({ min: 1, max: 8 }), {
      minKeys: 1,
    });
    fc.assert(
      fc.property(counts, fc.integer({ min: 1, max: 12 }), fc.nat(50), (lanes, budget, turn) => {
        const settled = settle(lanesOf(lanes), { budget, turn });
        const demands = demandsOf(settled);
        const working = demands.reduce((sum, demand) => sum + demand.working, 0);
        expect(working).toBe(Math.min(budget, settled.length));
        const waiting = demands.filter((demand) => demand.waiting > 0).map((demand) => demand.working);
        const most = Math.max(...demands.map((demand) => demand.working));
        for (const fewest of waiting) expect(most - fewest).toBeLessThanOrEqual(1);
      }),
    );
  });
});
