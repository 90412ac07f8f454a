import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Events,
  likeliestRatio,
  logEvidenceAbove,
  logEvidenceBelow,
  ratioInterval,
} from '../../../src/domain/statistics/ratio-evidence.ts';

const MULTIPLES = [1.1, 1.25, 1.5, 2, 3, 5, 10];
const ALPHA = 0.05;

const share = fc.double({ min: 0.00001, max: 0.99, noNaN: true });
const count = fc.nat({ max: 400 });
const stratum = fc.record<Events>({ share, treatment: count, control: count });
const strata = fc.array(stratum, { minLength: 1, maxLength: 5 });
const limit = fc.double({ min: 0.5, max: 3, noNaN: true });

/** Chance that an event falls on the treatment, when it is so many times as frequent there. */
const chance = (share: number, ratio: number) => (share * ratio) / (1 + share * (ratio - 1));
const with1 = (events: Events, arm: 'treatment' | 'control') => ({ ...events, [arm]: events[arm] + 1 });

describe('evidence that the event is more frequent', () => {
  it('is the mean likelihood ratio, in closed form', () => {
    // Ten events at 50 %, all in the treatment: each has the likelihood r / (1 + r) instead of 1/2.
    const mean = MULTIPLES.reduce((sum, r) => sum + ((2 * r) / (1 + r)) ** 10, 0) / MULTIPLES.length;
    expect(logEvidenceAbove([{ share: 0.5, treatment: 10, control: 0 }], 1)).toBeCloseTo(Math.log(mean), 12);
  });

  it('adds up over strata of different shares', () => {
    const events = [
      { share: 0.1, treatment: 4, control: 11 },
      { share: 0.5, treatment: 7, control: 2 },
    ];
    const of = (r: number) => r ** 11 / ((1 + 0.1 * (r - 1)) ** 15 * ((1 + r) / 2) ** 9);
    const mean = MULTIPLES.reduce((sum, r) => sum + of(r), 0) / MULTIPLES.length;
    expect(logEvidenceAbove(events, 1)).toBeCloseTo(Math.log(mean), 12);
  });

  it('is a fair game at the limit, and a losing one below it', () => {
    fc.assert(
      fc.property(stratum, limit, fc.double({ min: 0, max: 1, noNaN: true }), (events, limit, part) => {
        const now = logEvidenceAbove([events], limit);
        const up = Math.exp(logEvidenceAbove([with1(events, 'treatment')], limit) - now);
        const down = Math.exp(logEvidenceAbove([with1(events, 'control')], limit) - now);
        const expected = (ratio: number) => {
          const p = chance(events.share, ratio);
          return p * up + (1 - p) * down;
        };
        expect(expected(limit)).toBeCloseTo(1, 8);
        expect(expected(limit * part)).toBeLessThanOrEqual(1 + 1e-9);
      }),
    );
  });

  it('rises with an event in the treatment and falls with one in control', () => {
    fc.assert(
      fc.property(strata, limit, ([first, ...others], limit) => {
        const now = logEvidenceAbove([first as Events, ...others], limit);
        expect(logEvidenceAbove([with1(first as Events, 'treatment'), ...others], limit)).toBeGreaterThan(
          now,
        );
        expect(logEvidenceAbove([with1(first as Events, 'control'), ...others], limit)).toBeLessThan(now);
      }),
    );
  });

  it('does not depend on the order of strata, nor on where one of the same share is cut in two', () => {
    fc.assert(
      fc.property(strata, stratum, limit, (events, more, limit) => {
        const now = logEvidenceAbove(events, limit);
        expect(logEvidenceAbove(events.toReversed(), limit)).toBeCloseTo(now, 8);
        const [first, ...others] = events as [Events, ...Events[]];
        const second = { ...more, share: first.share };
        const both = {
          share: first.share,
          treatment: first.treatment + more.treatment,
          control: first.control + more.control,
        };
        expect(logEvidenceAbove([first, second, ...others], limit)).toBeCloseTo(
          logEvidenceAbove([both, ...others], limit),
          8,
        );
      }),
    );
  });

  it('is never above nothing while no stratum has more events in the treatment than its share', () => {
    const noMore = fc.array(
      fc
        .tuple(count, count, fc.double({ min: 0, max: 0.9, noNaN: true }))
        .map(([treatment, control, more]) => {
          const part = treatment + control === 0 ? 0.5 : treatment / (treatment + control);
          return { share: Math.max(part + more * (1 - part), 1e-5), treatment, control };
        }),
    );
    fc.assert(
      fc.property(noMore, (events) => {
        const comparable = events.filter(({ share }) => share < 1);
        expect(logEvidenceAbove(comparable, 1)).toBeLessThanOrEqual(1e-9);
      }),
    );
  });

  it('mirrors the evidence that it is less frequent, with the arms exchanged', () => {
    fc.assert(
      fc.property(strata, limit, (events, limit) => {
        const exchanged = events.map(({ share, treatment, control }) => ({
          share: 1 - share,
          treatment: control,
          control: treatment,
        }));
        expect(logEvidenceBelow(events, limit)).toBeCloseTo(logEvidenceAbove(exchanged, 1 / limit), 6);
      }),
    );
  });

  it('stays finite for a billion events', () => {
    const events = [{ share: 0.01, treatment: 1e9, control: 1e9 }];
    expect(logEvidenceAbove(events, 1)).toBeGreaterThan(1e8);
    expect(logEvidenceBelow(events, 1)).toBeLessThan(-1e7);
    expect(Number.isFinite(logEvidenceBelow(events, 1))).toBe(true);
  });
});

describe('the chance that the evidence ever suffices', () => {
  /**
   * Exact, by going through all ways in which events can fall on the two arms, one after the other: the share of those that
   * have reached the limit at some moment.
   */
  function crossingChance(
    share: number,
    ratio: number,
    events: number,
    crosses: (e: Events) => boolean,
  ): number {
    const p = chance(share, ratio);
    let reached = 0;
    let alive = [1];
    for (let n = 1; n <= events; n++) {
      const next = new Array<number>(n + 1).fill(0);
      for (const [treatment, weight] of alive.entries()) {
        next[treatment] = (next[treatment] ?? 0) + weight * (1 - p);
        next[treatment + 1] = (next[treatment + 1] ?? 0) + weight * p;
      }
      for (const [treatment, weight] of next.entries()) {
        if (weight === 0 || !crosses({ share, treatment, control: n - treatment })) continue;
        reached += weight;
        next[treatment] = 0;
      }
      alive = next;
    }
    return reached;
  }
  const isAbove = (events: Events) => logEvidenceAbove([events], 1) >= -Math.log(ALPHA);
  const isBelow = (events: Events) => logEvidenceBelow([events], 1.5) >= -Math.log(ALPHA);

  it.each([0.01, 0.1, 0.5, 0.9])('is at most alpha without a difference, at a share of %f', (share) => {
    const reached = crossingChance(share, 1, 300, isAbove);
    expect(reached).toBeLessThanOrEqual(ALPHA);
    expect(reached).toBeGreaterThan(ALPHA / 10);
    expect(crossingChance(share, 0.8, 300, isAbove)).toBeLessThan(reached);
  });

  it.each([0.1, 0.5])('is at most beta for a treatment as bad as the margin, at a share of %f', (share) => {
    expect(crossingChance(share, 1.5, 300, isBelow)).toBeLessThanOrEqual(ALPHA);
  });

  it('is large with a difference', () => {
    expect(crossingChance(0.5, 3, 100, isAbove)).toBeGreaterThan(0.95);
    expect(crossingChance(0.5, 0.75, 300, isBelow)).toBeGreaterThan(0.95);
  });
});

describe('ratio', () => {
  it('is the one of the shares, in a single stratum', () => {
    expect(likeliestRatio([{ share: 0.1, treatment: 20, control: 90 }])).toBeCloseTo(2, 9);
  });

  it('has no value without events in control, and is 0 without any in the treatment', () => {
    expect(likeliestRatio([{ share: 0.1, treatment: 0, control: 0 }])).toBeNull();
    expect(likeliestRatio([{ share: 0.1, treatment: 3, control: 0 }])).toBeNull();
    expect(likeliestRatio([{ share: 0.1, treatment: 0, control: 3 }])).toBe(0);
  });

  it('has an interval whose ends are just not excluded', () => {
    const events = [
      { share: 0.1, treatment: 20, control: 90 },
      { share: 0.5, treatment: 30, control: 14 },
    ];
    const { low, high } = ratioInterval(events, 0.05, 0.01);
    expect(logEvidenceAbove(events, low)).toBeCloseTo(Math.log(20), 9);
    expect(logEvidenceBelow(events, high ?? Number.NaN)).toBeCloseTo(Math.log(100), 9);
  });

  it('lies in its interval, which is open to both sides while nothing has happened', () => {
    expect(ratioInterval([{ share: 0.1, treatment: 0, control: 0 }], 0.05, 0.05)).toEqual({
      low: 0,
      high: null,
    });
    fc.assert(
      fc.property(stratum, (events) => {
        const { low, high } = ratioInterval([events], 0.05, 0.05);
        const ratio = likeliestRatio([events]);
        if (ratio !== null) expect(ratio).toBeGreaterThanOrEqual(low);
        if (ratio !== null && high !== null) expect(ratio).toBeLessThanOrEqual(high);
      }),
      { numRuns: 50 },
    );
  });
});
