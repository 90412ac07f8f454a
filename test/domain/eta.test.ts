import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forecast, NO_RATES, noteProgress, type Rates, type Speed } from '../../src/domain/eta.ts';
import type { Schedule } from '../../src/domain/open-hours.ts';

const ALWAYS: Schedule = { windows: [], blackouts: [] };
const START = Date.parse('2026-07-01T12:00:00Z');
const HOUR = 3_600_000;

/** A backfill that is looked at once a second. */
class Watched {
  rates: Rates = NO_RATES;
  now = START;
  processed = 0;

  seconds(count: number, rowsPerSecond: number, speed: Speed = 'free'): this {
    for (let second = 0; second < count; second += 1) {
      this.now += 1_000;
      this.processed += rowsPerSecond;
      this.rates = noteProgress(this.rates, { now: this.now, processed: this.processed, speed });
    }
    return this;
  }

  /** Time passes and nobody looks. */
  unwatched(ms: number): this {
    this.now += ms;
    return this;
  }

  /** Seconds from now to the ends of the range. */
  left(rows: number, { speed = 'free', schedule = ALWAYS }: { speed?: Speed; schedule?: Schedule } = {}) {
    const eta = forecast(this.rates, { now: this.now, left: rows, speed, schedule });
    return eta && [(eta.low - this.now) / 1_000, (eta.high - this.now) / 1_000];
  }
}

describe('the time that a backfill will be done', () => {
  it('is not told before there is something to say', () => {
    expect(new Watched().left(1_000)).toBeUndefined();
    expect(new Watched().seconds(6, 100).left(1_000)).toBeUndefined();
    expect(new Watched().seconds(20, 100).left(1_000)).toEqual([10, 10]);
    expect(new Watched().seconds(60, 0, 'stopped').left(1_000)).toBeUndefined();
  });

  it('is a range as wide as the rates differ', () => {
    const watched = new Watched().seconds(1, 50).seconds(30, 50).seconds(30, 100);
    expect(watched.left(1_000)).toEqual([10, 20]);
  });

  it('follows a table whose later rows take longer', () => {
    expect(new Watched().seconds(600, 1_000).seconds(150, 100).left(1_000)).toEqual([10, 10]);
  });

  it('leaves out pauses, time in which nobody looked, and what was slow because it was held back', () => {
    const watched = new Watched()
      .seconds(20, 100)
      .seconds(300, 0, 'stopped')
      .seconds(20, 100)
      .unwatched(8 * HOUR)
      .seconds(20, 100)
      .seconds(60, 10, 'slowed')
      .seconds(5, 100);
    expect(watched.left(1_000)).toEqual([10, 10]);
  });

  it('held back at present, may come as late as if that lasted', () => {
    const watched = new Watched().seconds(20, 100).seconds(60, 10, 'slowed');
    expect(watched.left(1_000, { speed: 'slowed' })).toEqual([10, 100]);
  });

  it('is told from held-back rates while there are no others', () => {
    expect(new Watched().seconds(60, 10, 'slowed').left(1_000, { speed: 'slowed' })).toEqual([100, 100]);
  });

  it('counts the closed hours that lie ahead, and not those that will be over by then', () => {
    // 12:00 to 13:00 in UTC are left of today's window.
    const schedule: Schedule = {
      windows: [{ from: '11:00', to: '13:00', timeZone: 'UTC', notOn: [] }],
      blackouts: [],
    };
    const watched = new Watched().seconds(20, 100);
    const [today] = watched.left(100 * 60, { schedule }) ?? [];
    expect(today).toBe(60);
    const [tomorrow] = watched.left(100 * 3_600, { schedule }) ?? [];
    expect(tomorrow).toBe(3_600 + 22 * 3_600);
  });

  it('waits for a batch that takes longer than a stretch, instead of calling it standstill', () => {
    const watched = new Watched();
    for (let batch = 0; batch < 5; batch += 1) watched.seconds(8, 0).seconds(1, 900);
    const [low = 0, high = 0] = watched.left(1_000) ?? [];
    expect(low).toBeGreaterThan(8);
    expect(high).toBeLessThan(13);
  });

  it('whatever the rates lies between the fastest and the slowest of them', () => {
    const rate = fc.integer({ min: 1, max: 10_000 });
    fc.assert(
      fc.property(
        fc.array(rate, { minLength: 4, maxLength: 60 }),
        fc.integer({ min: 1, max: 1e6 }),
        (rates, left) => {
          const watched = new Watched().seconds(1, 1);
          for (const one of rates) watched.seconds(3, one);
          const [low = Number.NaN, high = Number.NaN] = watched.left(left) ?? [];
          const recent = rates.slice(-40);
          expect(low).toBeLessThanOrEqual(high);
          expect(low).toBeGreaterThanOrEqual(left / Math.max(...recent) - 0.01);
          expect(high).toBeLessThanOrEqual(left / Math.min(...recent) + 0.01);
        },
      ),
    );
  });
});
