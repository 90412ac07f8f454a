import { afterOpenTime, type Schedule } from './open-hours.ts';

/** How the backfill went until it was looked at: as fast as it can, held back, or not at all. */
export type Speed = 'free' | 'slowed' | 'stopped';

/**
 * How fast the backfill was lately, as far as that tells how fast it will be: time in which it was paused, closed or unwatched
 * is left out, and time in which it was held back is kept apart. Rates in rows per second, the latest last.
 */
export type Rates = {
  free: number[];
  slowed: number[];
  /** When it was looked at last; null before the first time. */
  seenAt: number | null;
  /** The stretch of time that is under way. */
  stretch: { from: number; processed: number; speed: Speed } | null;
};

export type Sighting = {
  /** Milliseconds, by the same clock each time. */
  now: number;
  /** Rows dealt with by now. */
  processed: number;
  /** Since the last look. */
  speed: Speed;
};

/** When the last row is dealt with, in milliseconds since the epoch: most likely between the two. */
export type Eta = { low: number; high: number };

const STRETCH_MS = 3_000;
/** Nobody looked for that long: it was closed, paused by a person, or its workers were down. */
const UNWATCHED_MS = 10_000;
/** Two minutes: long enough to average, short enough to follow a table that changes on the way. */
const KEPT = 40;
const FEWEST = 3;
const SLOW_QUANTILE = 0.2;
const FAST_QUANTILE = 0.8;

export const NO_RATES: Rates = { free: [], slowed: [], seenAt: null, stretch: null };

export function noteProgress(rates: Rates, { now, processed, speed }: Sighting): Rates {
  const { stretch, seenAt } = rates;
  const begun = { from: now, processed, speed };
  const isUnbroken = seenAt !== null && now - seenAt <= UNWATCHED_MS && stretch?.speed === speed;
  if (!isUnbroken || !stretch || speed === 'stopped') return { ...rates, seenAt: now, stretch: begun };
  const ms = now - stretch.from;
  // Without any progress the batch under way is longer than the stretch, and the two together make one.
  if (ms < STRETCH_MS || processed <= stretch.processed) return { ...rates, seenAt: now };
  const rate = ((processed - stretch.processed) / ms) * 1_000;
  return { ...rates, [speed]: [...rates[speed], rate].slice(-KEPT), seenAt: now, stretch: begun };
}

export type Outlook = {
  now: number;
  /** Rows still to be dealt with. */
  left: number;
  /** As it is at present. */
  speed: Speed;
  schedule: Schedule;
};

/**
 * When the backfill will be done: the rows left at the fast and the slow rates of late, with the closed windows that lie ahead
 * added. Held back at present, it may stay so; the later end of the range takes that into account. A pause is not: nobody
 * knows its end, so its reason has to be told beside. Undefined while there is too little to say.
 */
export function forecast({ free, slowed }: Rates, { now, left, speed, schedule }: Outlook): Eta | undefined {
  if (left <= 0) return { low: now, high: now };
  const rates = free.length >= FEWEST ? free : [...free, ...slowed];
  if (rates.length < FEWEST) return undefined;
  const slowRates = speed === 'slowed' && slowed.length >= FEWEST ? slowed : rates;
  const fast = quantile(rates, FAST_QUANTILE);
  const slow = Math.min(quantile(slowRates, SLOW_QUANTILE), fast);
  const end = (rate: number) => afterOpenTime(schedule, now, Math.ceil((left / rate) * 1_000));
  const [low, high] = [end(fast), end(slow)];
  return low === undefined || high === undefined ? undefined : { low, high };
}

/** By linear interpolation between the two nearest. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const below = sorted[Math.floor(position)] ?? 0;
  const above = sorted[Math.ceil(position)] ?? below;
  return below + (above - below) * (position - Math.floor(position));
}
