import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instantOf, localTimeAt, offsetAt, weekdayOf } from '../../src/domain/local-time.ts';
import {
  afterOpenTime,
  openHours,
  type Schedule,
  WEEKDAYS,
  type Window,
} from '../../src/domain/open-hours.ts';

const BERLIN = 'Europe/Berlin';
const HOUR = 3_600_000;
const at = (iso: string) => Date.parse(iso);
const iso = (instant: number | undefined) =>
  instant === undefined ? undefined : new Date(instant).toISOString().replace('.000Z', 'Z');

const window = (from: string, to: string, more: Partial<Window> = {}): Window => ({
  from,
  to,
  timeZone: BERLIN,
  notOn: [],
  ...more,
});
const schedule = (...windows: Window[]): Schedule => ({ windows, blackouts: [] });

/** Open and closed from that instant on, as texts of when it opens and closes. */
function changes(given: Schedule, from: string, count: number): string[] {
  const found: string[] = [];
  let now = at(from);
  for (let n = 0; n < count; n += 1) {
    const { open, until } = openHours(given, now);
    found.push(`${open ? 'open' : 'closed'} until ${iso(until)}`);
    if (until === undefined) break;
    now = until;
  }
  return found;
}

describe('open hours', () => {
  it('without windows are always', () => {
    expect(openHours(schedule(), at('2026-05-05T10:00:00Z'))).toEqual({ open: true, until: undefined });
  });

  it('of a window by day and of one over midnight begin and end by local clocks', () => {
    expect(changes(schedule(window('09:30', '17:00')), '2026-07-01T06:00:00Z', 3)).toEqual([
      'closed until 2026-07-01T07:30:00Z',
      'open until 2026-07-01T15:00:00Z',
      'closed until 2026-07-02T07:30:00Z',
    ]);
    expect(changes(schedule(window('22:00', '06:00')), '2026-01-10T03:00:00Z', 3)).toEqual([
      'open until 2026-01-10T05:00:00Z',
      'closed until 2026-01-10T21:00:00Z',
      'open until 2026-01-11T05:00:00Z',
    ]);
  });

  it('say why it is closed', () => {
    const given = schedule(
      window('22:00', '06:00', { notOn: [1] }),
      window('08:00', '20:00', { days: ['sat', 'sun'] }),
    );
    expect(openHours(given, at('2026-07-01T10:00:00Z'))).toMatchObject({
      why: 'outside 22:00–06:00 Europe/Berlin, not on day 1 of the month and 08:00–20:00 Europe/Berlin, on sat, sun',
    });
    const blackouts = [
      { from: '2026-12-24T00:00', to: '2026-12-27T00:00', timeZone: BERLIN, reason: 'Christmas' },
    ];
    expect(openHours({ windows: [], blackouts }, at('2026-12-24T12:00:00Z'))).toEqual({
      open: false,
      until: at('2026-12-26T23:00:00Z'),
      why: 'blackout: Christmas',
    });
  });

  it('belong to the day on which a window begins', () => {
    // Friday night ends on Saturday; Saturday night does not begin.
    const fridays = schedule(window('22:00', '06:00', { days: ['fri'] }));
    expect(changes(fridays, '2026-07-03T12:00:00Z', 3)).toEqual([
      'closed until 2026-07-03T20:00:00Z',
      'open until 2026-07-04T04:00:00Z',
      'closed until 2026-07-10T20:00:00Z',
    ]);
  });

  it('leave a day of the month out from midnight to midnight', () => {
    expect(changes(schedule(window('22:00', '06:00', { notOn: [1] })), '2026-06-30T19:00:00Z', 5)).toEqual([
      'closed until 2026-06-30T20:00:00Z',
      'open until 2026-06-30T22:00:00Z',
      'closed until 2026-07-01T22:00:00Z',
      'open until 2026-07-02T04:00:00Z',
      'closed until 2026-07-02T20:00:00Z',
    ]);
  });

  it('of several windows that touch or overlap are one', () => {
    const given = schedule(window('20:00', '00:00'), window('00:00', '04:00'), window('03:00', '05:00'));
    expect(changes(given, '2026-07-01T18:00:00Z', 2)).toEqual([
      'open until 2026-07-02T03:00:00Z',
      'closed until 2026-07-02T18:00:00Z',
    ]);
    const whole = schedule(window('00:00', '12:00'), window('12:00', '00:00'));
    expect(openHours(whole, at('2026-07-01T18:00:00Z'))).toEqual({ open: true, until: undefined });
  });

  it('are cut by blackouts, also where a window begins in one', () => {
    const blackouts = [
      { from: '2026-07-01T21:00', to: '2026-07-01T23:30', timeZone: BERLIN, reason: 'release' },
    ];
    const given = { windows: [window('22:00', '06:00')], blackouts };
    expect(changes(given, '2026-07-01T10:00:00Z', 2)).toEqual([
      'closed until 2026-07-01T21:30:00Z',
      'open until 2026-07-02T04:00:00Z',
    ]);
  });

  it('that never come are said to be nowhere in sight', () => {
    const notOn = Array.from({ length: 31 }, (_, index) => index + 1);
    const never = schedule(window('22:00', '06:00', { notOn }));
    expect(openHours(never, at('2026-07-01T10:00:00Z'))).toMatchObject({ open: false, until: undefined });
    expect(afterOpenTime(never, at('2026-07-01T10:00:00Z'), 1)).toBeUndefined();
  });

  it('that come once in years are found', () => {
    const onlyLeapDay = Array.from({ length: 31 }, (_, index) => index + 1).filter((day) => day !== 31);
    const given = schedule(window('01:00', '02:00', { notOn: onlyLeapDay, days: ['thu'] }));
    expect(iso(openHours(given, at('2026-01-01T00:00:00Z')).until)).toBe('2026-12-31T00:00:00Z');
  });
});

describe('when clocks are put forward', () => {
  // Berlin skips 02:00 to 03:00 on 29 March 2026.
  it('a night is an hour shorter', () => {
    expect(changes(schedule(window('22:00', '06:00')), '2026-03-28T21:00:00Z', 1)).toEqual([
      'open until 2026-03-29T04:00:00Z',
    ]);
  });

  it('a window that begins or ends in the skipped hour does so when it has been skipped', () => {
    expect(changes(schedule(window('02:30', '04:00')), '2026-03-29T00:00:00Z', 2)).toEqual([
      'closed until 2026-03-29T01:00:00Z',
      'open until 2026-03-29T02:00:00Z',
    ]);
    expect(changes(schedule(window('22:00', '02:30')), '2026-03-28T22:00:00Z', 1)).toEqual([
      'open until 2026-03-29T01:00:00Z',
    ]);
  });

  it('a window within the skipped hour does not happen', () => {
    expect(changes(schedule(window('02:10', '02:50')), '2026-03-28T12:00:00Z', 1)).toEqual([
      'closed until 2026-03-30T00:10:00Z',
    ]);
  });
});

describe('when clocks are put back', () => {
  // Berlin shows 02:00 to 03:00 twice on 25 October 2026.
  it('a night is an hour longer', () => {
    expect(changes(schedule(window('22:00', '06:00')), '2026-10-24T20:00:00Z', 1)).toEqual([
      'open until 2026-10-25T05:00:00Z',
    ]);
  });

  it('a time that comes twice counts when it comes first', () => {
    expect(changes(schedule(window('02:15', '02:45')), '2026-10-24T12:00:00Z', 3)).toEqual([
      'closed until 2026-10-25T00:15:00Z',
      'open until 2026-10-25T00:45:00Z',
      'closed until 2026-10-26T01:15:00Z',
    ]);
    expect(changes(schedule(window('22:00', '02:30')), '2026-10-24T20:00:00Z', 1)).toEqual([
      'open until 2026-10-25T00:30:00Z',
    ]);
  });
});

describe('clocks', () => {
  it('where midnight itself is skipped begin the day at the first moment that it has', () => {
    // Cairo goes from 23:59 on 23 April to 01:00 on 24 April 2026.
    expect(iso(instantOf({ year: 2026, month: 4, day: 24, hour: 0, minute: 0 }, 'Africa/Cairo'))).toBe(
      '2026-04-23T22:00:00Z',
    );
  });

  it('of a place that left out a whole day go on with the next', () => {
    expect(iso(instantOf({ year: 2011, month: 12, day: 30, hour: 12, minute: 0 }, 'Pacific/Apia'))).toBe(
      '2011-12-30T10:00:00Z',
    );
  });

  it('that change by half an hour are right as well', () => {
    // Lord Howe shows 01:30 to 02:00 twice on 5 April 2026.
    expect(iso(instantOf({ year: 2026, month: 4, day: 5, hour: 1, minute: 45 }, 'Australia/Lord_Howe'))).toBe(
      '2026-04-04T14:45:00Z',
    );
  });
});

const ZONES = [BERLIN, 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'Africa/Cairo', 'UTC'];
const timeOfDay = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.constantFrom(0, 1, 15, 30, 59))
  .map(([hour, minute]) => `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`);
const anyWindow: fc.Arbitrary<Window> = fc.record({
  from: timeOfDay,
  to: timeOfDay,
  timeZone: fc.constantFrom(...ZONES),
  days: fc.option(fc.subarray([...WEEKDAYS], { minLength: 1 }), { nil: undefined }),
  notOn: fc.subarray([1, 2, 15, 28, 29, 30, 31]),
});
const localTime = fc
  .date({ min: new Date('2026-01-01T00:00Z'), max: new Date('2026-12-31T00:00Z'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 16));
const anySchedule: fc.Arbitrary<Schedule> = fc.record({
  windows: fc.array(anyWindow, { maxLength: 3 }),
  blackouts: fc.array(
    fc.record({
      from: localTime,
      to: localTime,
      timeZone: fc.constantFrom(...ZONES),
      reason: fc.constant('-'),
    }),
    { maxLength: 2 },
  ),
});
const anyInstant = fc.integer({ min: at('2026-01-05T00:00:00Z'), max: at('2026-12-20T00:00:00Z') });

/** Reads the clock on the wall, which is right on days on which nobody changes it. */
function isOpenByTheClock({ windows, blackouts }: Schedule, instant: number): boolean {
  const text = (timeZone: string) => {
    const { year, month, day, hour, minute } = localTimeAt(instant, timeZone);
    const two = (number: number) => String(number).padStart(2, '0');
    return { date: `${year}-${two(month)}-${two(day)}`, time: `${two(hour)}:${two(minute)}` };
  };
  if (
    blackouts.some(({ from, to, timeZone }) => {
      const { date, time } = text(timeZone);
      return from <= `${date}T${time}` && `${date}T${time}` < to;
    })
  )
    return false;
  if (windows.length === 0) return true;
  return windows.some(({ from, to, timeZone, days, notOn }) => {
    const day = localTimeAt(instant, timeZone);
    if (notOn.includes(day.day)) return false;
    const { time } = text(timeZone);
    const begins = (weekday: number) => !days || days.includes(WEEKDAYS[(weekday + 7) % 7] ?? 'mon');
    const today = weekdayOf(day);
    if (from < to) return from <= time && time < to && begins(today);
    return (time >= from && begins(today)) || (time < to && begins(today - 1));
  });
}

const isQuiet = (instant: number) =>
  ZONES.every((zone) => offsetAt(instant - 50 * HOUR, zone) === offsetAt(instant + 50 * HOUR, zone));

describe('whatever the schedule', () => {
  it('it is open when the clock on the wall says so, on days on which clocks are not changed', () => {
    fc.assert(
      fc.property(anySchedule, anyInstant, (given, now) => {
        fc.pre(isQuiet(now) && given.blackouts.every(({ from, to }) => [from, to].every(isQuietText)));
        expect(openHours(given, now).open).toBe(isOpenByTheClock(given, now));
      }),
      { numRuns: 400 },
    );
  });

  it('it stays as it is until the instant that it names, and changes then', () => {
    fc.assert(
      fc.property(anySchedule, anyInstant, fc.double({ min: 0, max: 1, noNaN: true }), (given, now, part) => {
        const { open, until } = openHours(given, now);
        if (until === undefined) return;
        expect(until).toBeGreaterThan(now);
        expect(openHours(given, Math.floor(now + (until - now) * part * 0.999_999)).open).toBe(open);
        expect(openHours(given, until).open).toBe(!open);
      }),
      { numRuns: 100 },
    );
  });

  it('open time ahead is found by walking through it', () => {
    fc.assert(
      fc.property(anySchedule, anyInstant, fc.integer({ min: 1, max: 30 * HOUR }), (given, now, ms) => {
        const end = afterOpenTime(given, now, ms);
        if (end === undefined) return;
        let open = 0;
        for (let instant = now; instant < end; ) {
          const state = openHours(given, instant);
          const next = Math.min(state.until ?? end, end);
          if (state.open) open += next - instant;
          instant = next;
        }
        expect(open).toBe(ms);
      }),
      { numRuns: 100 },
    );
  });
});

function isQuietText(local: string): boolean {
  return isQuiet(at(`${local}:00Z`));
}
