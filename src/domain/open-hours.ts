import { addDays, instantOf, type LocalDay, localTimeAt, weekdayOf } from './local-time.ts';

/** Days of the week, as plans write them. */
export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** When work may be done: `22:00` to `06:00` in Europe/Berlin, not on the 1st. One that ends before it begins ends the next day. */
export type Window = {
  /** Local time, `HH:MM`. */
  from: string;
  to: string;
  /** IANA name of the time zone in which all of it is meant. */
  timeZone: string;
  /** Days on which it begins; all unless given. */
  days?: Weekday[] | undefined;
  /** Days of the month on which no moment of it counts. */
  notOn: number[];
};

/** When no work may be done, from the first moment up to the last: local times `2026-12-24T00:00` in the time zone. */
export type Blackout = { from: string; to: string; timeZone: string; reason: string };

export type Schedule = { windows: readonly Window[]; blackouts: readonly Blackout[] };

/** Instants in milliseconds since the epoch; undefined where no change is in sight within three years. */
export type OpenHours =
  | { open: true; until: number | undefined }
  | { open: false; until: number | undefined; why: string };

/** Instants from the first up to, and without, the second. */
type Interval = [from: number, to: number];

const DAY_MS = 86_400_000;
/** How far ahead a change is looked for, in steps: most come within days, and further ones cost the more to find. */
const HORIZONS_DAYS = [3, 40, 1_100];

/**
 * Whether work may be done at that instant, until when that stays so, and what is in the way.
 *
 * A time of day means the first instant at which clocks show it or a later one: a window that begins in an hour that clocks
 * skip begins when they have skipped it, one that lies in it altogether does not happen, and in an hour that comes twice the
 * first one counts.
 */
export function openHours(schedule: Schedule, now: number): OpenHours {
  for (const days of HORIZONS_DAYS) {
    const open = openIntervals(schedule, now, now + days * DAY_MS);
    const [first] = open;
    if (first && first[0] <= now) {
      if (first[1] < now + days * DAY_MS) return { open: true, until: first[1] };
    } else if (first) {
      return { open: false, until: first[0], why: whyClosed(schedule, now) };
    }
  }
  const [first] = openIntervals(schedule, now, now + DAY_MS);
  if (first && first[0] <= now) return { open: true, until: undefined };
  return { open: false, until: undefined, why: whyClosed(schedule, now) };
}

/** The instant by which so much time was open from now on; undefined when that is more than three years away. */
export function afterOpenTime(schedule: Schedule, now: number, ms: number): number | undefined {
  let left = ms;
  for (let day = 0; day < 1_100; day += 20) {
    const start = now + day * DAY_MS;
    for (const [from, to] of openIntervals(schedule, start, start + 20 * DAY_MS)) {
      if (to - from >= left) return from + left;
      left -= to - from;
    }
  }
  return undefined;
}

/** All open time between the two instants, in order and without touching intervals. */
function openIntervals({ windows, blackouts }: Schedule, from: number, to: number): Interval[] {
  const opened: Interval[] =
    windows.length === 0 ? [[from, to]] : windows.flatMap((one) => intervalsOf(one, from, to));
  const closed = blackouts.map(
    (blackout): Interval => [
      instantOf(parseLocal(blackout.from), blackout.timeZone),
      instantOf(parseLocal(blackout.to), blackout.timeZone),
    ],
  );
  return subtract(union(opened), closed).flatMap(([start, end]): Interval[] =>
    start < to && end > from ? [[Math.max(start, from), Math.min(end, to)]] : [],
  );
}

/** When the window is open between the two instants. */
function intervalsOf(window: Window, from: number, to: number): Interval[] {
  const { timeZone, days, notOn } = window;
  const opened: Interval[] = [];
  const left: Interval[] = [];
  // One that begins on the day before the first may still be open then.
  const last = addDays(localTimeAt(to, timeZone), 1);
  for (let day = addDays(localTimeAt(from, timeZone), -2); !isAfter(day, last); day = addDays(day, 1)) {
    if (notOn.includes(day.day)) left.push([startOf(day, timeZone), startOf(addDays(day, 1), timeZone)]);
    const weekday = WEEKDAYS[weekdayOf(day)];
    if (days && weekday && !days.includes(weekday)) continue;
    const end = window.to > window.from ? day : addDays(day, 1);
    opened.push([
      instantOf({ ...day, ...parseTime(window.from) }, timeZone),
      instantOf({ ...end, ...parseTime(window.to) }, timeZone),
    ]);
  }
  return subtract(union(opened), left);
}

/** Sorted, those that overlap or touch made one, empty ones left out. */
function union(intervals: readonly Interval[]): Interval[] {
  const sorted = intervals.filter(([from, to]) => from < to).sort(([a], [b]) => a - b);
  const merged: Interval[] = [];
  for (const [from, to] of sorted) {
    const last = merged.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

function subtract(intervals: readonly Interval[], taken: readonly Interval[]): Interval[] {
  return taken.reduce<Interval[]>(
    (left, [from, to]) =>
      left.flatMap(([start, end]): Interval[] => {
        if (to <= start || from >= end || from >= to) return [[start, end]];
        const parts: Interval[] = [
          [start, from],
          [to, end],
        ];
        return parts.filter(([first, second]) => first < second);
      }),
    [...intervals],
  );
}

function whyClosed({ windows, blackouts }: Schedule, now: number): string {
  const blackout = blackouts.find(
    ({ from, to, timeZone }) =>
      instantOf(parseLocal(from), timeZone) <= now && now < instantOf(parseLocal(to), timeZone),
  );
  if (blackout) return `blackout: ${blackout.reason}`;
  return `outside ${windows.map(windowInWords).join(' and ')}`;
}

/** `22:00–06:00 Europe/Berlin, on sat and sun, not on day 1 of the month` */
function windowInWords({ from, to, timeZone, days, notOn }: Window): string {
  return [
    `${from}–${to} ${timeZone}`,
    days ? `on ${days.join(', ')}` : '',
    notOn.length > 0 ? `not on day ${notOn.join(', ')} of the month` : '',
  ]
    .filter(Boolean)
    .join(', ');
}

function startOf(day: LocalDay, timeZone: string): number {
  return instantOf({ ...day, hour: 0, minute: 0 }, timeZone);
}

function isAfter(a: LocalDay, b: LocalDay): boolean {
  return Date.UTC(a.year, a.month - 1, a.day) > Date.UTC(b.year, b.month - 1, b.day);
}

function parseTime(text: string): { hour: number; minute: number } {
  const [hour = 0, minute = 0] = text.split(':').map(Number);
  return { hour, minute };
}

function parseLocal(text: string) {
  const [date = '', time = ''] = text.split('T');
  const [year = 0, month = 0, day = 0] = date.split('-').map(Number);
  return { year, month, day, ...parseTime(time) };
}
